import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { jsonSchema } from "../src/config/json-schema.ts";
import { eventSchemas } from "../src/core/event-schema.ts";

/** Writes the JSON Schemas anew, of the configuration and of each type of event; tests fail when the kept files are others. */
const config = new URL("../config/", import.meta.url);
const write = (name: string, schema: unknown) =>
  writeFileSync(new URL(name, config), `${JSON.stringify(schema, null, 2)}\n`);

write("taskwatch.schema.json", jsonSchema());
rmSync(new URL("schemas/", config), { recursive: true, force: true });
mkdirSync(new URL("schemas/", config));
for (const [type, schema] of eventSchemas()) write(`schemas/${type}.schema.json`, schema);
