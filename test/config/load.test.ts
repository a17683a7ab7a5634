import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { inspect } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import type { Config } from "../../src/config/config.ts";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { plainInstance } from "../../src/config/resolve.ts";
import { EVENT_TYPES } from "../../src/core/event.ts";
import { HOOK_SECRET, type load, loaded, MINIMAL, problems } from "./support.ts";

const [CERTIFICATE = ""] = rootCertificates;

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const config = async (...args: Parameters<typeof load>): Promise<Config> => (await loaded(...args)).config;

describe("defaults", () => {
  it("fill everything that a file with one project leaves out", async () => {
    const { projects, store, webhooks, ...rest } = await config(MINIMAL);
    const stuck = {
      queued_after: 15 * MINUTE,
      by_task: {},
      no_progress_after: null,
      learn: { enabled: true, quantile: 0.99, factor: 3, min_samples: 20, floor: 30 * MINUTE, ceiling: DAY },
      repeat: null,
    };
    const poll = {
      schedule: "0 * * * * *",
      active_schedule: "*/15 * * * * *",
      timezone: "UTC",
      timeout: 10 * SECOND,
      concurrency: 64,
    };
    const window = {
      lookback: DAY,
      overlap: 2 * MINUTE,
      max_lookback: 30 * DAY,
      sweep: 6 * HOUR,
      utc_offset: 0,
      first_poll: "baseline",
    };
    expect(rest).toEqual({
      poll,
      window,
      stuck: { ...stuck, running_after: HOUR },
      failures: { keep_open: 7 * DAY },
      maintenance: [],
      server: {
        listen: { host: "0.0.0.0", port: 10464 },
        external_url: "",
        tls: null,
        auth: null,
        metrics_auth: true,
        reload: false,
        stop_timeout: 8 * SECOND,
      },
      privacy: { task_params: false, user_names: true },
      log: { level: "info" },
    });
    expect(webhooks).toEqual([]);
    expect({ ...store, url: store.url.reveal() }).toEqual({
      url: "sqlite:./data/taskwatch.db",
      kind: "sqlite",
      path: "./data/taskwatch.db",
      key_prefix: "taskwatch",
      shards: 16,
      lease: 10 * SECOND,
      keep_events: 7 * DAY,
      username: null,
      password: null,
      tls: null,
    });
    expect(projects[0]).toMatchObject({
      project_id: null,
      endpoint: "https://dms.eu-west-101.myhuaweicloud.eu",
      iam_endpoint: "https://iam.eu-west-101.myhuaweicloud.eu",
      requests_per_second: 5,
      discover: null,
      scheduled_tasks: false,
      instances: [
        { id: "i-1", name: "i-1", engine: "kafka", poll, window, stuck: { ...stuck, running_after: null } },
      ],
    });
  });

  it("fill a webhook", async () => {
    const { webhooks } = await config(`${MINIMAL}webhooks: [{ name: ops, url: "https://h.example/x?y" }]\n`);
    const [webhook] = webhooks;
    expect(webhook?.urls.map((url) => url.reveal())).toEqual(["https://h.example/x?y"]);
    expect(webhook).toMatchObject({
      secrets: [],
      format: "cloudevents",
      events: [
        "task.failed",
        "task.stuck",
        "task.recovered",
        "task.vanished",
        "instance.unreachable",
        "instance.reachable",
        "project.unreachable",
        "project.reachable",
      ],
      match: { project: null, instance: null, task: null, engine: null, region: null },
      timeout: 15 * SECOND,
      retry: { for: 72 * HOUR, refused_for: HOUR, min: SECOND, max: HOUR },
      concurrency: 4,
      group: null,
      dead_letters: 30 * DAY,
      auth: null,
    });
  });

  it("hold for a section in which everything is commented out", async () => {
    expect((await config(`${MINIMAL}webhooks:\n  # - name: ops\nlog:\n`)).webhooks).toEqual([]);
  });

  it("cannot be changed after loading", async () => {
    const frozen = await config(MINIMAL);
    expect(Object.isFrozen(frozen.stuck.learn)).toBe(true);
    expect(Object.isFrozen(frozen.projects[0]?.instances[0]?.stuck)).toBe(true);
  });
});

describe("values", () => {
  it("of an instance override what holds for all, and say which limits are its own", async () => {
    const file = MINIMAL.replace(
      "{ id: i-1 }",
      `{ id: i-1, poll: { active_schedule: off }, window: { sweep: off }, stuck: { running_after: 20m, by_task: { a: 1m } } }, { id: i-2 }`,
    );
    const all = await config(`${file}stuck: { queued_after: 1h30m, by_task: { b: 2m } }\n`);
    const [own, plain] = all.projects[0]?.instances ?? [];
    expect(own?.poll).toMatchObject({ active_schedule: null, schedule: "0 * * * * *" });
    expect(own?.window).toMatchObject({ sweep: null, lookback: DAY });
    expect(own?.stuck).toMatchObject({ running_after: 20 * MINUTE, queued_after: 90 * MINUTE });
    expect(own?.stuck.by_task).toEqual({ a: MINUTE });
    expect(plain?.stuck).toMatchObject({ running_after: null, by_task: {} });
    expect(plainInstance(all, { id: "i-2", name: "i-2", engine: "kafka" })).toEqual(plain);
  });

  it("may be JSON, with numbers and booleans", async () => {
    const json = {
      projects: [
        {
          name: "p",
          region: "eu-de",
          credentials: { access_key: "a", secret_key: "1" },
          requests_per_second: 2.5,
          instances: [{ id: "1" }],
        },
      ],
      server: { reload: true },
    };
    const result = await config(JSON.stringify(json));
    expect(result.projects[0]).toMatchObject({
      requests_per_second: 2.5,
      endpoint: "https://dms.eu-de.otc.t-systems.com",
    });
    expect(result.server.reload).toBe(true);
  });

  it("that look like a number stay the text they are where a text belongs", async () => {
    const file = MINIMAL.replace("access_key: AK", "access_key: 0012").replace("name: prod", "name: 1e3");
    const { projects } = await config(file);
    expect(projects[0]).toMatchObject({ name: "1e3", credentials: { access_key: "0012" } });
  });

  it("may have any task's name as a key", async () => {
    const { stuck } = await config(
      `${MINIMAL}stuck: { by_task: { __proto__: 5m, constructor: 6m, url_file: 7m } }\n`,
    );
    expect(Object.entries(stuck.by_task)).toEqual([
      ["__proto__", 5 * MINUTE],
      ["constructor", 6 * MINUTE],
      ["url_file", 7 * MINUTE],
    ]);
  });

  it("may be shared by an alias", async () => {
    const { stuck, projects } = await config(
      `stuck: &limits { queued_after: 2m }\n${MINIMAL.replace("{ id: i-1 }", "{ id: i-1, stuck: *limits }")}`,
    );
    expect([stuck.queued_after, projects[0]?.instances[0]?.stuck.queued_after]).toEqual([
      2 * MINUTE,
      2 * MINUTE,
    ]);
  });
});

describe("the events of a webhook", () => {
  it("may be any type that there is", async () => {
    const text = `${MINIMAL}webhooks: [{ name: ops, url: "https://h.example/", events: [${EVENT_TYPES.join(", ")}] }]\n`;
    expect((await config(text)).webhooks[0]?.events).toEqual(EVENT_TYPES);
  });
});

describe("variables", () => {
  const reference = (inside: string) => `$\{${inside}}`;
  const substituted = async (value: string, env: Record<string, string>) =>
    (await config(`${MINIMAL}webhooks: [{ name: '${value}', url: 'https://h/' }]\n`, { env })).webhooks[0]
      ?.name;

  it("are put in, with a default when they are unset or empty", async () => {
    const env = { A: "x", E: "" };
    const text = ["A", "A:-d", "E:-d", "NO:-d", "NO:-"].map(reference).join("-");
    expect(await substituted(text, env)).toBe("x-x-d-d-");
  });

  it("are not looked for in their own values, and $$ is a dollar sign", async () => {
    const env = { A: reference("B"), B: "no" };
    expect(await substituted(`${reference("A")}-$${reference("B")}-$$-$A-$`, env)).toBe(
      `${reference("B")}-${reference("B")}-$-$A-$`,
    );
  });

  it("may stand for numbers and booleans", async () => {
    const file = `${MINIMAL}poll:\n  concurrency: ${reference("N")}\nserver:\n  reload: ${reference("R:-true")}\n`;
    const { poll, server } = await config(file, { env: { N: "7" } });
    expect([poll.concurrency, server.reload]).toEqual([7, true]);
  });

  it.each(["", "1A", "A-b", `A:-${reference("B")}`])("cannot be written %j in braces", async (inside) => {
    const [said] = await problems(`${MINIMAL}log: { level: '${reference(inside)}' }\n`, {
      env: { A: "info" },
    });
    expect(said).toBe(
      `6:15: log.level: found a variable that cannot be read; allowed: ${reference("NAME")}, ${reference("NAME:-default")}, or $$ for a dollar sign`,
    );
  });

  it("must be closed", async () => {
    const [said] = await problems(`${MINIMAL}log: { level: '$\{A' }\n`, { env: { A: "info" } });
    expect(said).toContain("6:15: log.level: found a variable that cannot be read");
  });
});

describe("secrets in files", () => {
  const project = (credentials: string) => MINIMAL.replace("{ access_key: AK, secret_key: SK }", credentials);

  it("are read beside the file, without their final newline", async () => {
    const files = {
      "/etc/taskwatch.yaml": `${project("{ access_key: AK, secret_key_file: sk, security_token_file: /run/token }")}webhooks:
  - name: ops
    url_file: url
    secret_file: [one, two]
    headers: { X-Key: { file: header } }
    auth: { basic: { user: u, password_file: one } }
    tls: { ca_file: ca.pem }
`,
      "/etc/sk": "the key\n",
      "/run/token": "token\r\n",
      "/etc/url": "https://h.example/hidden\n",
      "/etc/one": `${HOOK_SECRET}\n`,
      "/etc/two": HOOK_SECRET,
      "/etc/header": "value",
      "/etc/ca.pem": `${CERTIFICATE}\n`,
    };
    const result = await loaded(files);
    const credentials = result.config.projects[0]?.credentials;
    expect(
      credentials?.kind === "keys" && [credentials.secret_key.reveal(), credentials.security_token?.reveal()],
    ).toEqual(["the key", "token"]);
    const [webhook] = result.config.webhooks;
    expect(webhook?.urls[0].reveal()).toBe("https://h.example/hidden");
    expect(webhook?.secrets.map((secret) => secret.reveal())).toEqual([HOOK_SECRET, HOOK_SECRET]);
    expect(webhook?.headers["X-Key"]?.reveal()).toBe("value");
    expect(webhook?.auth?.kind === "basic" && webhook.auth.password.reveal()).toBe(HOOK_SECRET);
    expect(webhook?.tls?.ca).toBe(CERTIFICATE);
    expect(result.files.map(({ path }) => path).sort()).toEqual(Object.keys(files).sort());
    expect(result.files.every(({ sha256 }) => sha256 !== null)).toBe(true);
  });

  it("that are to be PEM and are not are problems where they are named", async () => {
    const files = {
      "/etc/taskwatch.yaml": `${MINIMAL}server: { tls: { cert_file: cert.pem, key_file: key.pem } }\n`,
      "/etc/cert.pem": "a host name",
      "/etc/key.pem": CERTIFICATE,
    };
    expect(await problems(files)).toEqual([
      "6:29: server.tls.cert_file: found a secret that is not shown; allowed: a certificate in PEM, -----BEGIN CERTIFICATE-----",
      "6:49: server.tls.key_file: found a secret that is not shown; allowed: a private key in PEM without a passphrase, -----BEGIN PRIVATE KEY-----",
    ]);
  });

  it("that are missing, empty or named wrongly are problems where they are named", async () => {
    const text = `${project("{ access_key: AK, secret_key_file: ./gone }")}webhooks:
  - name: ops
    url: https://h.example/
    secret_file: ./empty
    auth: { bearer_token_file: }
`;
    expect(await problems({ "/etc/taskwatch.yaml": text, "/etc/empty": "\n" })).toEqual([
      '4:53: projects[0].credentials.secret_key_file: found "./gone", a file that does not exist; allowed: the name of a text file that can be read',
      "9:18: webhooks[0].secret_file: found an empty text; allowed: a signing secret, not empty and on one line; or a list of signing secrets, not empty",
      "10:32: webhooks[0].auth.bearer_token_file: found no name; allowed: the name of a file",
    ]);
  });

  it("are not shown when the secret itself stands where the file's name belongs", async () => {
    const said = await problems(project(`{ access_key: AK, secret_key_file: hunter2hunter2 }`));
    expect(said.join()).not.toContain("hunter2");
  });
});

describe("a profile", () => {
  const file = MINIMAL.replace("{ access_key: AK, secret_key: SK }", "{ profile: basic }");
  const ini =
    "; comment\n[global]\nak = x\n[basic]\nak = AK1\nsk=SK=1\nproject_id = p1\niam_endpoint = https://iam.example.org\n";
  const env = { HOME: "/home/u" };

  it("gives keys, project id and IAM endpoint", async () => {
    const result = await loaded(
      { "/etc/taskwatch.yaml": file, "/home/u/.huaweicloud/credentials": ini },
      { env },
    );
    const [project] = result.config.projects;
    expect(project).toMatchObject({ project_id: "p1", iam_endpoint: "https://iam.example.org" });
    const credentials = project?.credentials;
    expect(credentials?.kind === "keys" && [credentials.access_key, credentials.secret_key.reveal()]).toEqual(
      ["AK1", "SK=1"],
    );
    expect(result.files).toHaveLength(2);
  });

  it("that is not there, or lacks a key, is a problem", async () => {
    const lost = await problems(file, { env });
    expect(lost).toEqual([
      "4:29: projects[0].credentials.profile: found a profile while /home/u/.huaweicloud/credentials is a file that does not exist; allowed: a profile of /home/u/.huaweicloud/credentials",
    ]);
    const files = { "/etc/taskwatch.yaml": file, "/home/u/.huaweicloud/credentials": "[other]\nak = 1\n" };
    expect(await problems(files, { env })).toEqual([
      '4:29: projects[0].credentials.profile: found "basic"; allowed: a section of /home/u/.huaweicloud/credentials: other',
    ]);
  });
});

describe("where the configuration comes from", () => {
  const named = (name: string) => MINIMAL.replace("name: prod", `name: ${name}`);
  const files = {
    "/a.yaml": named("a"),
    "/b.yaml": named("b"),
    "/c.yaml": named("c"),
    "/d.yaml": named("d"),
  };
  const defaultFiles = ["/c.yaml", "/d.yaml"];
  const name = async (options: Parameters<typeof load>[1], from: Record<string, string> = files) =>
    (await config(from, { path: undefined, defaultFiles, ...options })).projects[0]?.name;

  it("is the command line, then TASKWATCH_CONFIG, then the default places in their order", async () => {
    const env = { TASKWATCH_CONFIG: "/b.yaml" };
    expect(await name({ path: "/a.yaml", env })).toBe("a");
    expect(await name({ env })).toBe("b");
    expect(await name({})).toBe("c");
    expect(await name({}, { "/d.yaml": named("d") })).toBe("d");
  });

  it("is an error when the file that was named does not exist", async () => {
    for (const options of [{ path: "/x.yaml" }, { path: undefined, env: { TASKWATCH_CONFIG: "/x.yaml" } }]) {
      expect(await problems(files, options)).toEqual([
        "/x.yaml: found a file that does not exist; allowed: a YAML or JSON file that can be read",
      ]);
    }
  });

  const environment = {
    HUAWEICLOUD_SDK_AK: "ak",
    HUAWEICLOUD_SDK_SK: "sk",
    TASKWATCH_REGION: "eu-west-101",
    TASKWATCH_INSTANCES: "i-1, i-2,",
  };

  it("is the environment when there is no file", async () => {
    const env = {
      ...environment,
      HUAWEICLOUD_SDK_SECURITY_TOKEN: "st",
      HUAWEICLOUD_SDK_PROJECT_ID: "p1",
      TASKWATCH_STORE_URL: "sqlite:/data/x.db",
      TASKWATCH_LISTEN: "127.0.0.1:0",
      TASKWATCH_WEBHOOK_URL: "https://h.example/",
      TASKWATCH_WEBHOOK_SECRET: HOOK_SECRET,
      TASKWATCH_LOG_LEVEL: "debug",
    };
    const result = await config({}, { path: undefined, defaultFiles, env });
    const [project] = result.projects;
    expect(project).toMatchObject({ name: "eu-west-101", region: "eu-west-101", project_id: "p1" });
    expect(project?.instances.map(({ id }) => id)).toEqual(["i-1", "i-2"]);
    const credentials = project?.credentials;
    expect(credentials?.kind === "keys" && credentials.security_token?.reveal()).toBe("st");
    expect([result.store.path, result.server.listen.host, result.log.level]).toEqual([
      "/data/x.db",
      "127.0.0.1",
      "debug",
    ]);
    expect(result.webhooks.map((webhook) => [webhook.name, webhook.secrets[0]?.reveal()])).toEqual([
      ["default", HOOK_SECRET],
    ]);
  });

  it.each([
    [
      { HW_ACCESS_KEY: "a", HW_SECRET_KEY: "s", HW_SECURITY_TOKEN: "t" },
      { kind: "keys", access_key: "a" },
    ],
    [{ HW_AUTH_TOKEN: "t" }, { kind: "token" }],
    [
      { HW_USER_NAME: "u", HW_USER_PASSWORD: "p", HW_DOMAIN_NAME: "d" },
      { kind: "password", user: "u", domain: "d" },
    ],
  ])("takes Terraform's names where those of the SDKs are not set: %j", async (names, credentials) => {
    const env = { ...names, HW_REGION_NAME: "eu-west-101", HW_PROJECT_ID: "p1" };
    const { projects } = await config({}, { path: undefined, defaultFiles, env });
    expect(projects[0]).toMatchObject({
      name: "eu-west-101",
      region: "eu-west-101",
      project_id: "p1",
      credentials,
    });
  });

  it("takes the names of the API pages' samples where no others are set", async () => {
    const samples = { CLOUD_SDK_AK: "a", CLOUD_SDK_SK: "s", TASKWATCH_REGION: "eu-west-101" };
    const read = (env: Record<string, string>) => config({}, { path: undefined, defaultFiles, env });
    const [project] = (await read(samples)).projects;
    expect(project).toMatchObject({
      project_id: null,
      credentials: { kind: "keys", access_key: "a", security_token: null },
    });
    expect(project?.credentials).toHaveProperty("secret_key");
    for (const known of [environment, { HW_ACCESS_KEY: "ak", HW_SECRET_KEY: "sk" }]) {
      const { projects } = await read({ ...samples, ...known });
      expect(projects[0]?.credentials).toMatchObject({ access_key: "ak" });
    }
    const { CLOUD_SDK_SK: _, ...half } = samples;
    expect(await problems({}, { path: undefined, defaultFiles, env: half })).toEqual([
      expect.stringMatching(/^environment: CLOUD_SDK_SK: .*a secret key/),
    ]);
  });

  it("never mixes the keys of two sets of names", async () => {
    const others = { HW_ACCESS_KEY: "x", HW_SECRET_KEY: "x", HW_SECURITY_TOKEN: "x", HW_PROJECT_ID: "x" };
    const { projects } = await config(
      {},
      { path: undefined, defaultFiles, env: { ...environment, ...others } },
    );
    expect(projects[0]).toMatchObject({
      project_id: null,
      credentials: { kind: "keys", access_key: "ak", security_token: null },
    });
    const { HUAWEICLOUD_SDK_SK: _, ...half } = environment;
    expect(await problems({}, { path: undefined, defaultFiles, env: { ...half, ...others } })).toEqual([
      "environment: HUAWEICLOUD_SDK_SK: found nothing; allowed: a secret key, or a configuration file (/c.yaml and /d.yaml do not exist)",
    ]);
  });

  it("says what is missing when there is neither file nor environment", async () => {
    const missing = "(/c.yaml and /d.yaml do not exist)";
    expect(await problems({}, { path: undefined, defaultFiles })).toEqual([
      `environment: HUAWEICLOUD_SDK_AK: found nothing; allowed: an access key, or a configuration file ${missing}`,
      `environment: HUAWEICLOUD_SDK_SK: found nothing; allowed: a secret key, or a configuration file ${missing}`,
      `environment: TASKWATCH_REGION: found nothing; allowed: a region, or a configuration file ${missing}`,
    ]);
  });

  it("discovers all instances when the environment alone names none", async () => {
    const { TASKWATCH_INSTANCES: _, ...env } = environment;
    const { projects } = await config({}, { path: undefined, defaultFiles, env });
    expect(projects[0]?.discover).toMatchObject({ engines: ["kafka", "rabbitmq", "rocketmq"] });
  });

  it("names the variable whose value is wrong", async () => {
    const env = { ...environment, TASKWATCH_LISTEN: "here", TASKWATCH_WEBHOOK_URL: "hidden" };
    expect(await problems({}, { path: undefined, defaultFiles, env })).toEqual([
      "environment: TASKWATCH_WEBHOOK_URL: found a secret that is not shown; allowed: an http or https URL",
      'environment: TASKWATCH_LISTEN: found "here"; allowed: HOST:PORT, such as 0.0.0.0:10464 or [::]:10464',
    ]);
  });

  it("is also the environment for store and listen address where a file does not set them, and nothing else", async () => {
    const env = {
      TASKWATCH_STORE_URL: "sqlite:/data/x.db",
      TASKWATCH_LISTEN: ":1",
      TASKWATCH_LOG_LEVEL: "debug",
    };
    const unset = await config(MINIMAL, { env });
    expect([unset.store.path, unset.server.listen.port, unset.log.level]).toEqual(["/data/x.db", 1, "info"]);
    const set = await config(`${MINIMAL}store: { url: "sqlite:y" }\nserver: { listen: ":2" }\n`, { env });
    expect([set.store.path, set.server.listen.port]).toEqual(["y", 2]);
  });
});

describe("real files", () => {
  let directory: string | undefined;
  afterEach(() => directory !== undefined && rmSync(directory, { recursive: true }));

  it("that are a directory or too large are refused", async () => {
    directory = mkdtempSync(join(tmpdir(), "taskwatch-"));
    const large = join(directory, "large.yaml");
    writeFileSync(large, "");
    truncateSync(large, 5 * 1024 * 1024);
    const said = await Promise.all(
      [directory, large].map(async (path) => {
        const result = await loadConfig({ path, env: {} });
        return result.ok ? [] : result.problems.map(formatProblem);
      }),
    );
    expect(said).toEqual([
      [`${directory}: found a file that is a directory; allowed: a YAML or JSON file that can be read`],
      [`${large}: found a file of more than 4 MiB; allowed: a YAML or JSON file that can be read`],
    ]);
  });
});

describe("the hash", () => {
  it("is the same for files that mean the same, and another when a secret changes", async () => {
    const hash = async (text: string, env = {}) => (await loaded(text, { env })).hash;
    const one = await hash(`${MINIMAL}stuck: { by_task: { b: 1m, a: 1m } }\npoll: { timeout: 60s }\n`);
    const rest = "poll: { timeout: 1m }\nstuck: { by_task: { a: 1m, b: 60s } }\n";
    expect(await hash(`# same\n${rest}${MINIMAL}`)).toBe(one);
    expect(await hash(`${MINIMAL.replace("SK", "SK2")}${rest}`)).not.toBe(one);
    expect(Number.isSafeInteger(one)).toBe(true);
  });
});

describe("a secret", () => {
  it("shows itself to nobody who prints the configuration", async () => {
    const secretive = await config(MINIMAL.replace("secret_key: SK", "secret_key: hunter2"));
    const credentials = secretive.projects[0]?.credentials;
    expect(`${inspect(secretive, { depth: 9 })}${JSON.stringify(secretive)}`).not.toContain("hunter2");
    expect(credentials?.kind === "keys" && `${credentials.secret_key}`).toBe("<secret>");
  });
});
