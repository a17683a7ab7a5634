import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { jsonSchema } from "../../src/config/json-schema.ts";
import { loaded, MINIMAL } from "./support.ts";

const file = (name: string) => readFileSync(new URL(`../../config/${name}`, import.meta.url), "utf8");
const EXAMPLE = file("taskwatch.example.yaml");
const env = { HUAWEICLOUD_SDK_AK: "AK", HUAWEICLOUD_SDK_SK: "SK" };

/** Every key that the JSON Schema knows, at any depth. */
function keysOf(schema: unknown): string[] {
  if (Array.isArray(schema)) return schema.flatMap(keysOf);
  if (typeof schema !== "object" || schema === null) return [];
  return Object.entries(schema).flatMap(([key, inner]) => [
    ...(key === "properties" ? Object.keys(inner as object) : []),
    ...keysOf(inner),
  ]);
}

describe("the example configuration", () => {
  it("loads, and has the defaults that the schema has", async () => {
    const { projects, webhooks, ...example } = (await loaded(EXAMPLE, { env })).config;
    const { projects: minimal, webhooks: _, ...defaults } = (await loaded(MINIMAL)).config;
    expect(JSON.stringify(example)).toBe(JSON.stringify(defaults));
    const { name, region, credentials, instances, ...others } = projects[0] ?? {};
    expect(others).toEqual({
      ...minimal[0],
      name: undefined,
      region: undefined,
      credentials: undefined,
      instances: undefined,
    });
    const hook = 'webhooks: [{ name: ops, url: "https://hooks.example.org/dms" }]\n';
    expect(JSON.stringify(webhooks)).toBe(
      JSON.stringify((await loaded(`${MINIMAL}${hook}`)).config.webhooks),
    );
  });

  it("names every key", () => {
    const missing = [...new Set(keysOf(jsonSchema()))].filter((key) => {
      const base = key.replace(/_file$/, "");
      return !new RegExp(`\\b(${key}|${base}|${base}_file)\\b`).test(EXAMPLE);
    });
    expect(missing).toEqual([]);
  });

  it("loads with the keys taken in that do not exclude others and are available", async () => {
    const wanted = ["project_id", "endpoint", "iam_endpoint", "proxy", "poll:", "window:", "stuck:", "match"];
    const more = EXAMPLE.replace(/#: (\S+) (.*)/g, (line, key: string, rest: string) =>
      wanted.some((name) => key.startsWith(name)) ? `${key} ${rest}` : line,
    );
    expect((await loaded(more, { env })).config.projects[0]).toMatchObject({
      project_id: "0605768a3300d5762fd0c002e2bbd3f9",
      instances: [{ stuck: { running_after: 1_200_000 } }],
    });
  });
});

describe("the JSON Schema", () => {
  const validate = new Ajv2020({ strict: false }).compile(jsonSchema());
  const takes = (yaml: string) => validate(parse(yaml));

  it("is kept as generated: run node scripts/schema.ts after a change", () => {
    expect(`${JSON.stringify(jsonSchema(), null, 2)}\n`).toBe(file("taskwatch.schema.json"));
  });

  it("takes the example and the smallest file", () => {
    expect(takes(EXAMPLE)).toBe(true);
    expect(takes(MINIMAL)).toBe(true);
  });

  it.each([
    `${MINIMAL}poll: { concurrency: "\${N}", timeout: "\${T:-5s}" }\n`,
    `${MINIMAL}webhooks: [{ name: w, url_file: u, secret_file: [a, b], headers: { X: { file: f } } }]\n`,
    `${MINIMAL}server: { tls: { cert_file: c, key_file: k }, auth: { basic: { user: u, password_file: p } } }\n`,
    `${MINIMAL}stuck: { repeat: off, no_progress_after: 5m, by_task: { a: 1h30m } }\n`,
    MINIMAL.replace("secret_key: SK", "secret_key_file: f"),
  ])("takes %j", (yaml) => {
    expect(takes(yaml)).toBe(true);
  });

  it.each([
    `${MINIMAL}pol: {}\n`,
    `${MINIMAL}poll: { timeout: 10 }\n`,
    `${MINIMAL}poll: { concurrency: many }\n`,
    `${MINIMAL}server: { tls: { cert: c } }\n`,
    `${MINIMAL}log: { level: loud }\n`,
    "poll: {}\n",
  ])("refuses %j", (yaml) => {
    expect(takes(yaml)).toBe(false);
  });
});
