import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import type { CredentialsConfig } from "../../src/config/config.ts";
import { loaded } from "./support.ts";

const docs = readFileSync(new URL("../../docs/credentials.md", import.meta.url), "utf8");
const blocks = (language: string): string[] =>
  [...docs.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "gs"))].map(([, text = ""]) => text);

const FILES = {
  "/run/secrets/sk": "SKFILE",
  "/run/secrets/security-token": "STFILE",
  "/run/secrets/token": "TOKENFILE",
  "/run/secrets/password": "PASSWORDFILE",
  "/home/sre/.huaweicloud/credentials": "[basic]\nak = AKPROFILE\nsk = SKPROFILE\n",
};

const kinds = (all: readonly CredentialsConfig[]) => all.map(({ kind }) => kind);

test("each documented form is one that the configuration takes", async () => {
  const found: CredentialsConfig[] = [];
  for (const text of blocks("yaml")) {
    const { credentials } = parse(text) as { credentials: unknown };
    const project = { name: "p", region: "eu-west-101", credentials, instances: [{ id: "i" }] };
    const files = { ...FILES, "/etc/taskwatch.yaml": JSON.stringify({ projects: [project] }) };
    const { config } = await loaded(files, { env: { HOME: "/home/sre" } });
    found.push(...config.projects.map((each) => each.credentials));
  }
  expect(kinds(found)).toEqual(["keys", "keys", "keys", "token", "password", "metadata"]);
});

test("each documented environment is a whole configuration", async () => {
  const found: CredentialsConfig[] = [];
  for (const text of blocks("sh")) {
    const env = Object.fromEntries(
      text
        .trim()
        .split("\n")
        .map((line) => line.replace(/\s+#.*/, "").split("=") as [string, string]),
    );
    const { config } = await loaded({}, { path: undefined, defaultFiles: ["none.yaml"], env });
    expect(config.projects).toMatchObject([{ region: "eu-west-101", discover: { every: 300_000 } }]);
    found.push(...config.projects.map((each) => each.credentials));
  }
  expect(kinds(found)).toEqual(["keys", "keys", "token", "password", "keys"]);
});
