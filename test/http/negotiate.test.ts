import { expect, test } from "vitest";
import { formatFor } from "../../src/http/negotiate.ts";

const OPEN = "application/openmetrics-text";

test.each<[string | undefined, "text" | "openmetrics"]>([
  [undefined, "text"],
  ["", "text"],
  ["*/*", "text"],
  ["text/plain", "text"],
  ["text/html,application/xhtml+xml,*/*;q=0.8", "text"],
  [OPEN, "openmetrics"],
  [`${OPEN}; version=1.0.0; charset=utf-8`, "openmetrics"],
  [
    `${OPEN};version=1.0.0;q=0.75,${OPEN};version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.25,*/*;q=0.1`,
    "openmetrics",
  ],
  [`${OPEN};version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;q=0.5`, "openmetrics"],
  [`text/plain;q=0.9, ${OPEN};q=0.5`, "text"],
  [`${OPEN};q=0`, "text"],
  [`${OPEN};q=nonsense`, "text"],
  [`${OPEN};version=2.0.0, text/plain;q=0.1`, "text"],
])("Accept: %s gives %s", (accept, format) => {
  expect(formatFor(accept)).toBe(format);
});
