import { writeFileSync } from "node:fs";
import { jsonSchema } from "../src/config/json-schema.ts";

/** Writes the JSON Schema of the configuration anew; a test fails when the kept file is not the one generated. */
const file = new URL("../config/taskwatch.schema.json", import.meta.url);
writeFileSync(file, `${JSON.stringify(jsonSchema(), null, 2)}\n`);
