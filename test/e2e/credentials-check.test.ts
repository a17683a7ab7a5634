import { expect, test } from "vitest";
import { DEMO_KEY, type Simulator, startSimulator } from "../../src/simulator/server.ts";
import { cellsOf, runCli } from "../support/cli.ts";
import { Folder } from "../support/daemon.ts";
import { projectOf, type RawConfig, watchConfig } from "../support/watch-config.ts";

const TEMPORARY_KEY = {
  access_key: "TEMPORARYACCESSKEY00",
  secret_key: "a temporary secret",
  security_token: "t",
};
const USER = { user: "watcher", password: "pass-word-1", domain: "acme" };
const AGENCY = "Please configure Cloud Service Agency first";

interface Case {
  readonly form: string;
  readonly good: (of: Simulator, folder: Folder) => Promise<RawConfig> | RawConfig;
  /** What makes the same form be refused, and what is said then. */
  readonly bad: (of: Simulator, folder: Folder) => Promise<RawConfig> | RawConfig;
  readonly refusal: RegExp;
}

const profile = async (folder: Folder, secret: string) => {
  await folder.write("credentials", `[basic]\nak = ${DEMO_KEY.access_key}\nsk = ${secret}\n`);
  return { profile: "basic" };
};

const cases: readonly Case[] = [
  {
    form: "a key pair",
    good: () => DEMO_KEY,
    bad: () => ({ ...DEMO_KEY, secret_key: "wrong" }),
    refusal: /401 APIGW\.0301: .*verify signature fail/,
  },
  {
    form: "temporary keys",
    good: () => TEMPORARY_KEY,
    bad: () => ({ ...TEMPORARY_KEY, security_token: "another" }),
    refusal: /401 APIGW\.0301: .*the security token does not belong to the access key/,
  },
  {
    form: "a profile",
    good: (_, folder) => profile(folder, DEMO_KEY.secret_key),
    bad: (_, folder) => profile(folder, "wrong"),
    refusal: /401 APIGW\.0301: .*verify signature fail/,
  },
  {
    form: "a ready token",
    good: ({ control }) => {
      control.addToken("a-ready-token");
      return { token: "a-ready-token" };
    },
    bad: ({ control }) => {
      control.expireTokens();
      return { token: "a-ready-token" };
    },
    refusal: /401 APIGW\.0307: The token must be updated/,
  },
  {
    form: "a user and a password",
    good: () => USER,
    bad: () => ({ ...USER, password: "wrong-pass-word" }),
    refusal: /answered 401: The username or password is wrong/,
  },
  {
    form: "the agency of an ECS",
    good: ({ url }) => ({ metadata: { endpoint: url } }),
    bad: ({ url, control }) => {
      control.addFault({
        kind: "error",
        operation: "metadata_key",
        status: 401,
        message: AGENCY,
        shape: "text",
      });
      return { metadata: { endpoint: url } };
    },
    refusal: /this server has no agency/,
  },
];

test.each(cases)("check --online says what the cloud answers to $form", async ({ good, bad, refusal }) => {
  await using folder = await Folder.create();
  await using simulator = await startSimulator({
    projects: [
      {
        keys: [DEMO_KEY, TEMPORARY_KEY],
        users: [{ name: USER.user, password: USER.password, domain: USER.domain }],
        instances: [{ name: "orders" }],
      },
    ],
  });
  const { control } = simulator;
  const check = async (credentials: RawConfig) => {
    const projects = [projectOf(simulator, { credentials })];
    const config = await folder.write("c.yaml", watchConfig(simulator, null, { projects }));
    const env = { HUAWEICLOUD_SDK_CREDENTIALS_FILE: folder.file("credentials") };
    control.clearRequests();
    const { code, stdout, stderr } = await runCli(["check", "--online", "--config", config], { env });
    expect(stdout + stderr).not.toMatch(/wrong-pass-word|pass-word-1|another secret|a-ready-token/);
    const rows = cellsOf(stdout);
    const first = rows.findIndex(([title]) => title === "PROJECT") + 1;
    return { code, rows: rows.slice(first, first + 2) };
  };
  expect(await check(await good(simulator, folder))).toEqual({
    code: 0,
    rows: [
      ["prod", "accepted"],
      ["prod", "orders", "accepted"],
    ],
  });
  expect(await check(await bad(simulator, folder))).toEqual({
    code: 1,
    rows: [
      ["prod", expect.stringMatching(refusal)],
      ["prod", "orders", "not asked: the project has to answer first"],
    ],
  });
  // One refused call, and none after it, but for a token that is renewed once.
  expect(control.requests({ status: 401 })).toHaveLength(1);
});
