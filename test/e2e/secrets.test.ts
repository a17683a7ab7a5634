import { execFileSync } from "node:child_process";
import { expect, test, vi } from "vitest";
import { FORMATS } from "../../src/config/config.ts";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { json, serve } from "../cloud/serve.ts";
import { runCli } from "../support/cli.ts";
import { Daemon, Folder } from "../support/daemon.ts";
import { RedisServer } from "../support/redis.ts";
import { projectOf, type RawConfig, watchConfig } from "../support/watch-config.ts";

vi.setConfig({ testTimeout: 120_000 });

/** One of every kind; each is found wherever it stands in an output, also encoded. */
const SECRETS = {
  accessKey: "AKS3CRETS3CRET000001",
  secretKey: "s3cret-key-0123456789abcdefghijklmnop",
  securityToken: "s3cret-security-token-0123456789",
  token: "s3cret-ready-token-0123456789",
  password: "s3cret-iam-password-012345",
  proxyPassword: "s3cret-proxy-password-0123",
  urlPath: "s3cret-hook-path-0123456789",
  urlQuery: "s3cret-hook-query-0123456789",
  hookSecret: Buffer.from("s3cret of the webhook, as bytes").toString("base64"),
  oldHookSecret: Buffer.from("s3cret of before, as bytes too").toString("base64"),
  header: "s3cret-header-value-0123456789",
  bearer: "s3cret-bearer-token-0123456789",
  basicPassword: "s3cret-basic-password-01234",
  routingKey: "s3cret0routing0key0012345678901",
  apiToken: "s3cret-api-token-0123456789012",
  redisPassword: "s3cret-redis-password-0123",
};

/** As it is, and as it may be carried: in a URL, in base64, in a JSON text within another. */
const forms = (secret: string) => [
  secret,
  encodeURIComponent(secret),
  Buffer.from(secret).toString("base64").replace(/=+$/, ""),
  Buffer.from(`watcher:${secret}`).toString("base64").replace(/=+$/, ""),
];

/** Repeats what it was sent, as gateways do with a refusal. */
const echo = (status: number, code = "APIGW.0301") =>
  serve((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const sent = `${request.url}|${JSON.stringify(request.headers)}|${Buffer.concat(chunks)}`;
      json(
        response,
        { error_code: code, error_msg: `verify signature fail, canonicalRequest:GET|${sent}`, sent },
        status,
      );
    });
  });

test("a daemon with every kind of secret shows none: in its log, over HTTP, in commands, in the process list", async () => {
  await using folder = await Folder.create();
  await using redis = await RedisServer.start(["--requirepass", SECRETS.redisPassword]);
  await using simulator = await startSimulator({
    projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }] }],
  });
  await using refusing = await echo(401);
  await using broken = await echo(500, "DMS.00500000");
  await using hooks = await echo(422);
  await using retrying = await echo(503);
  const project = (name: string, endpoint: string, credentials: RawConfig, more: RawConfig = {}) =>
    projectOf(simulator, {
      name,
      project_id: `id-of-${name}`,
      endpoint,
      iam_endpoint: endpoint,
      credentials,
      instances: [{ id: `i-${name}` }],
      ...more,
    });
  // Another key for each project: a refusal stops all projects that use the same one.
  const keys = (suffix: string) => ({
    access_key: `${SECRETS.accessKey}${suffix}`,
    secret_key: "${SK}",
    security_token: SECRETS.securityToken,
  });
  const hook = (name: string, base: string, more: RawConfig = {}) => ({
    name,
    url: `${base}/${SECRETS.urlPath}?access_token=${SECRETS.urlQuery}`,
    events: ["task.started", "task.failed"],
    retry: { min: "50ms", max: "1s" },
    ...more,
  });
  const password = await folder.write("password", `${SECRETS.password}\n`);
  const secrets = [`whsec_${SECRETS.hookSecret}`, `whsec_${SECRETS.oldHookSecret}`];
  const nowhere = `http://${"x".repeat(64)}.invalid`;
  const config = watchConfig(simulator, null, {
    projects: [
      projectOf(simulator),
      project("refused", refusing.url, keys("A")),
      project("failing", broken.url, keys("B")),
      project("token", refusing.url, { token: SECRETS.token }),
      project("password", refusing.url, { user: "watcher", password_file: password, domain: "acme" }),
      project("proxied", "http://192.0.2.1", keys("C"), {
        proxy: `http://watcher:${SECRETS.proxyPassword}@127.0.0.1:${hooks.port}`,
      }),
      project("nowhere", nowhere, keys("D")),
    ],
    webhooks: [
      hook("signed", hooks.url, {
        secret: secrets,
        headers: { "X-Key": SECRETS.header },
        auth: { bearer_token: SECRETS.bearer },
      }),
      hook("basic", retrying.url, { auth: { basic: { user: "watcher", password: SECRETS.basicPassword } } }),
      hook("nowhere", nowhere),
      ...FORMATS.filter((format) => ["slack", "teams", "feishu", "dingtalk", "wecom"].includes(format)).map(
        (format) => hook(format, hooks.url, { format }),
      ),
      hook("pager", hooks.url, { format: "pagerduty", routing_key: SECRETS.routingKey }),
    ],
    store: { url: redis.url, password: SECRETS.redisPassword, lease: "3s" },
    server: { listen: "127.0.0.1:0", reload: true, auth: { bearer_token: SECRETS.apiToken } },
    privacy: { task_params: true },
    log: { level: "trace" },
  });
  const path = await folder.write("taskwatch.yaml", config);
  const env = { SK: SECRETS.secretKey };
  const shown: string[] = [];
  await using daemon = await Daemon.start(path, env);
  const authorization = `Bearer ${SECRETS.apiToken}`;
  const ask = async (url: string, method = "GET", headers: Record<string, string> = { authorization }) => {
    const answer = await fetch(`${daemon.url}${url}`, { method, headers });
    const text = `${answer.status} ${JSON.stringify([...answer.headers])} ${await answer.text()}`;
    shown.push(text);
    return text;
  };
  const cli = async (...args: string[]) => {
    const { stdout, stderr } = await runCli([...args, "--config", path], { env });
    shown.push(stdout, stderr);
    return stdout + stderr;
  };

  // Everything that can fail does, and is told in some way.
  await daemon.log.until(({ msg, instance_name: of }) => msg === "polled" && of === "orders");
  const { task } = simulator.control.createTask(
    { instance: "orders" },
    { name: "resize", runs_for: 0, ends: "FAILED", params: { password: SECRETS.password } },
  );
  for (const webhook of ["signed", "basic", "nowhere", "slack", "pager"])
    await daemon.log.until((line) => line.msg === "attempt" && line.webhook === webhook);
  for (const of of ["failing", "proxied", "nowhere"])
    await daemon.log.until(({ msg, project: name }) => msg === "poll failed" && name === of);
  await daemon.log.until("credentials refused: all calls that use them are stopped");

  for (const url of [
    "/",
    "/metrics",
    "/readyz",
    "/nothing",
    "/api/v1/nothing",
    `/${SECRETS.urlPath}`.slice(0, 3),
  ])
    await ask(url);
  for (const of of [
    "status",
    "instances",
    "tasks?state=all",
    `tasks/${task}`,
    "events",
    "webhooks",
    "events?after=wrong",
  ]) {
    const answer = await ask(`/api/v1/${of}`);
    if (!of.includes("wrong")) expect(answer, of).toMatch(/^200 /);
  }
  await ask(`/api/v1/tasks/${task}/ack`, "POST");
  expect(await ask("/metrics", "GET", { authorization: `Bearer ${SECRETS.bearer}` })).toMatch(/^401/);
  expect(await ask("/api/v1/status", "GET", {})).toMatch(/^401/);
  for (const args of [
    ["check"],
    ["check", "--online"],
    ["poll"],
    ["tasks", "--json"],
    ["explain", task],
    ["dead-letters", "list"],
    ["webhook", "test", "signed"],
    ["webhook", "test", "nowhere"],
    ["webhook", "test", "pager"],
    ["ack", task],
  ])
    await cli(...args);
  // Wherever a secret stands by mistake.
  await folder.write("taskwatch.yaml", {
    ...config,
    store: {
      url: `redis://watcher:${SECRETS.redisPassword}@127.0.0.1:${redis.port}/zero`,
      password: SECRETS.redisPassword,
    },
    log: { level: "loud" },
    webhooks: [
      { name: "x", url: SECRETS.urlPath, headers: SECRETS.header, auth: { bearer: SECRETS.bearer } },
    ],
  });
  expect(await ask("/-/reload", "POST")).toMatch(/^500 /);
  await cli("check");
  await folder.write("taskwatch.yaml", { ...config, log: { level: "debug" } });
  expect(await ask("/-/reload", "POST")).toMatch(/^200 /);
  // Also when the store refuses the password: then nobody gets in.
  await redis.kill();
  await daemon.log.until(
    ({ component, level }) => component === "store" && level !== "info" && level !== "debug",
  );
  await ask("/readyz");
  await ask("/api/v1/status");
  await cli("tasks");

  shown.push(execFileSync("ps", ["-ww", "-o", "args=", "-p", String(daemon.pid)], { encoding: "utf8" }));
  daemon.kill("SIGTERM");
  await daemon.exited;
  shown.push(daemon.log.text, daemon.stderr.text);
  const all = shown.join("\n");
  // What was said is enough to find the trouble by: hosts, names, codes.
  for (const word of [
    "APIGW.0301",
    "DMS.00500000",
    `127.0.0.1:${hooks.port}`,
    "HTTP 422",
    "HTTP 503",
    "resize",
  ])
    expect(all).toContain(word);
  for (const [kind, secret] of Object.entries(SECRETS))
    for (const form of forms(secret)) {
      const at = all.indexOf(form);
      expect(at < 0 ? "" : all.slice(Math.max(0, at - 300), at + 60), `${kind} is shown`).toBe("");
    }
});
