import { expect, test } from "vitest";
import { createAgent } from "../../src/cloud/agent.ts";
import { Api } from "../../src/cloud/api.ts";
import { openCredentials } from "../../src/cloud/credentials.ts";
import { findProjectId } from "../../src/cloud/projects.ts";
import { createTaskSource } from "../../src/cloud/source.ts";
import { Transport } from "../../src/cloud/transport.ts";
import type { CredentialsConfig, ProjectConfig } from "../../src/config/config.ts";
import { Secret } from "../../src/config/secret.ts";
import { systemClock } from "../../src/platform/clock.ts";
import type { TaskSource } from "../../src/ports/task-source.ts";
import { type Simulator, startSimulator } from "../../src/simulator/server.ts";
import { memory, NEVER, RecordingGate } from "./client.ts";

const PROJECT = "0605768a3300d5762fd0c002e2bbd3f9";
const KEY = { access_key: "AKSIM00000000000001A", secret_key: "sk-of-the-simulator" };
const USER = { name: "watcher", password: "pass-word-1", domain: "acme" };
const HOUR = 3_600_000;

const KEYS: CredentialsConfig = {
  kind: "keys",
  access_key: KEY.access_key,
  secret_key: new Secret(KEY.secret_key),
  security_token: null,
};

interface Opened extends AsyncDisposable {
  readonly source: TaskSource;
  readonly gate: RecordingGate;
  readonly dialect: ReturnType<typeof memory>;
  findId(): Promise<string>;
}

function open(simulator: Simulator, credentials: CredentialsConfig = KEYS, timeoutMs = 5000): Opened {
  const config: ProjectConfig = {
    name: "prod",
    region: "eu-west-101",
    project_id: PROJECT,
    endpoint: simulator.url,
    iam_endpoint: simulator.url,
    credentials,
    requests_per_second: 5,
    tls: null,
    proxy: null,
    discover: null,
    scheduled_tasks: false,
    instances: [],
  };
  const gate = new RecordingGate();
  const dialect = memory();
  const clock = systemClock;
  const dispatcher = createAgent({ connections: 4, ca: null, proxy: null, env: {} });
  const transport = new Transport({ dispatcher, gate, clock, timeoutMs });
  const { auth, close } = openCredentials(config, transport);
  const api = new Api(transport, auth);
  const source = createTaskSource({
    api,
    endpoint: config.endpoint,
    projectId: PROJECT,
    enterpriseProjectId: null,
    utcOffset: 0,
    dialect,
    clock,
  });
  return {
    source,
    gate,
    dialect,
    findId: () => findProjectId(api, config.iam_endpoint, config.region, NEVER),
    async [Symbol.asyncDispose]() {
      await close();
      await dispatcher.destroy();
    },
  };
}

function simulate(): Promise<Simulator> {
  return startSimulator({
    projects: [{ id: PROJECT, keys: [KEY], users: [USER], instances: [{ id: "i1", name: "orders" }] }],
  });
}

function addTasks(simulator: Simulator, count: number): string[] {
  return Array.from(
    { length: count },
    (_, index) =>
      simulator.control.createTask(
        { instance: "i1" },
        { created_ago: 60_000 + index * 7000, status: "SUCCESS" },
      ).task,
  );
}

const window = () => ({ from: Date.now() - 24 * HOUR, to: Date.now() });

test.each([
  { paging: "start1", task_count: "string" },
  { paging: "start0", task_count: "number" },
  { paging: "offset0", task_count: "absent" },
  { paging: "offset1", task_count: "null", order: "oldest" },
  { paging: "start1", task_count: "total", unknown_parameters: "reject", below_first: "reject" },
  { paging: "offset0", task_count: "page", max_limit: 20, default_limit: 20 },
  { paging: "offset1", task_count: "string", max_limit: 50, over_limit: "reject" },
  { paging: "none", task_count: "string" },
  { paging: "none", task_count: "absent", order: "oldest", end: "exclusive", unknown_parameters: "reject" },
] as const)("every task is read over the wire in the dialect $paging, count $task_count", async (dialect) => {
  await using simulator = await simulate();
  simulator.control.setProject({ dialect });
  const ids = addTasks(simulator, 230);
  await using cloud = open(simulator);
  for (let poll = 0; poll < 2; poll++) {
    const listing = await cloud.source.list("i1", window(), NEVER);
    expect(listing.gap).toBeNull();
    expect(listing.tasks.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
  }
  expect(cloud.dialect.dialect?.position).toBe(
    dialect.paging === "none" ? "none" : dialect.paging.slice(0, -1),
  );
});

test.each(["start1", "start0", "offset0", "offset1", "none"] as const)(
  "a page of one row whose count says more is read on over the wire, paging %s",
  async (paging) => {
    await using simulator = await simulate();
    const below_first = paging.endsWith("1") ? "reject" : "clamp";
    simulator.control.setProject({ dialect: { paging, max_limit: 1, default_limit: 1, below_first } });
    const ids = addTasks(simulator, 6);
    await using cloud = open(simulator);
    const listing = await cloud.source.list("i1", window(), NEVER);
    expect(listing).toMatchObject({ gap: null, countedMore: false });
    expect(listing.tasks.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
  },
);

test("a list that shifts between pages over the wire keeps every task that stayed", async () => {
  await using simulator = await simulate();
  const ids = addTasks(simulator, 230);
  simulator.control.addFault({ kind: "shift", delete: 3, add: 1, from: "newest", times: 2 });
  await using cloud = open(simulator);
  const listing = await cloud.source.list("i1", window(), NEVER);
  expect(listing.gap).toBeNull();
  const found = new Set(listing.tasks.map(({ id }) => id));
  const stayed = new Set(simulator.control.tasks({ instance: "i1" }).map(({ id }) => String(id)));
  expect(ids.filter((id) => stayed.has(id) && !found.has(id))).toEqual([]);
});

const FORMS: readonly CredentialsConfig[] = [
  KEYS,
  { kind: "password", user: USER.name, password: new Secret(USER.password), domain: USER.domain },
  { kind: "token", token: new Secret("ready-token") },
];

test.each(FORMS)("credentials $kind are let in by a cloud that checks them", async (credentials) => {
  await using simulator = await simulate();
  simulator.control.addToken("ready-token");
  await using cloud = open(simulator, credentials);
  expect((await cloud.source.list("i1", window(), NEVER)).complete).toBe(true);
  expect(await cloud.findId()).toBe(PROJECT);
});

test("keys of the agency are let in, temporary keys too, and a security token that is left out is not", async () => {
  await using simulator = await simulate();
  await using agency = open(simulator, { kind: "metadata", endpoint: simulator.url });
  expect((await agency.source.list("i1", window(), NEVER)).complete).toBe(true);
  expect(
    agency.gate.outcomes.map(({ operation }) => operation),
    "the metadata service is no part of the budget",
  ).toEqual(["list_tasks"]);
  const temporary = { access_key: "AKTEMP0000000000001A", secret_key: "temporary-secret" };
  simulator.control.addKey({ ...temporary, security_token: "the-security-token" });
  const keys = {
    kind: "keys",
    access_key: temporary.access_key,
    secret_key: new Secret(temporary.secret_key),
  } as const;
  await using right = open(simulator, { ...keys, security_token: new Secret("the-security-token") });
  expect((await right.source.list("i1", window(), NEVER)).complete).toBe(true);
  await using wrong = open(simulator, { ...keys, security_token: null });
  await expect(wrong.source.list("i1", window(), NEVER)).rejects.toMatchObject({
    reason: "credentials_rejected",
  });
});

const FAULTS = [
  [{ kind: "throttled", retry_after: 3 }, "throttled"],
  [{ kind: "throttled_404" }, "throttled"],
  [{ kind: "error", status: 401, code: "APIGW.0301" }, "credentials_rejected"],
  [{ kind: "error", status: 403, code: "DMS.00403002" }, "permission_denied"],
  [{ kind: "error", status: 502, shape: "html" }, "server_error"],
  [{ kind: "truncated" }, "bad_response"],
  [{ kind: "body", body: "<html>login</html>" }, "bad_response"],
  [{ kind: "redirect", location: "http://127.0.0.1:1/" }, "bad_response"],
  [{ kind: "reset" }, "endpoint_unreachable"],
  [{ kind: "reset", after_bytes: 10 }, "endpoint_unreachable"],
  [{ kind: "wrong_length", by: -5 }, "bad_response"],
  [{ kind: "drip", every: 50 }, "timeout"],
  [{ kind: "hang" }, "timeout"],
  [{ kind: "huge", gzip: true }, "bad_response"],
] as const;

test.each(FAULTS)(
  "the fault %j is a failed poll with cause %s, and the next one works",
  async (fault, reason) => {
    await using simulator = await simulate();
    addTasks(simulator, 3);
    simulator.control.addFault({ ...fault, times: 1 });
    await using cloud = open(simulator, KEYS, 1000);
    await expect(cloud.source.list("i1", window(), NEVER)).rejects.toMatchObject({ reason });
    expect((await cloud.source.list("i1", window(), NEVER)).tasks.length).toBe(3);
    expect(cloud.gate.open).toBe(0);
  },
);

test("rows that are wrong cost only themselves", async () => {
  await using simulator = await simulate();
  addTasks(simulator, 4);
  await using cloud = open(simulator);
  for (const variant of [
    "null_fields",
    "wrong_types",
    "missing_fields",
    "tasks_not_objects",
    "empty_ids",
  ] as const) {
    simulator.control.addFault({ kind: "malformed", variant, times: 1 });
    const listing = await cloud.source.list("i1", window(), NEVER);
    expect(listing.tasks.length + listing.malformed.length, variant).toBeGreaterThanOrEqual(4);
    expect(listing.tasks.length, variant).toBeGreaterThanOrEqual(3);
    simulator.control.clearFaults();
  }
});

test("ten thousand instances of one engine are listed whole", async () => {
  await using simulator = await simulate();
  simulator.control.addLoad({ instances: 10_000, tasks: 1, open: 0 });
  await using cloud = open(simulator);
  expect((await cloud.source.instances("kafka", NEVER)).length).toBe(10_001);
});

test("instances, progress, one task and scheduled tasks are read over the wire", async () => {
  await using simulator = await simulate();
  for (let index = 0; index < 110; index++) simulator.control.addInstance({ name: `more-${index}` });
  const task = simulator.control.createTask({ instance: "i1" }, { runs_for: "1h", progress: 25 }).task;
  simulator.control.createTask({ instance: "i1" }, { scheduled_in: "2h" });
  await using cloud = open(simulator);
  expect((await cloud.source.instances("kafka", NEVER)).length).toBe(111);
  expect(await cloud.source.instances("rocketmq", NEVER)).toEqual([]);
  expect(await cloud.source.progress("i1", task, NEVER)).toMatchObject({
    ratio: 0.25,
    steps: [
      { name: "pre_check", state: "COMPLETED", startedAt: expect.any(Number) },
      { name: "disk_expansion", state: "IN_PROGRESS", endedAt: null },
    ],
  });
  expect(await cloud.source.show("i1", task, NEVER)).toMatchObject({ kind: "found", task: { id: task } });
  expect(await cloud.source.show("i1", "0".repeat(32), NEVER)).toEqual({ kind: "gone" });
  await expect(cloud.source.show("i2", task, NEVER)).rejects.toMatchObject({ reason: "not_found" });
  const [scheduled] = await cloud.source.scheduled("i1", NEVER);
  expect(scheduled?.scheduleAt).toBeGreaterThan(Date.now() + HOUR);
});

test("a poll that waits for a token when the connection is closed fails with a cause", async () => {
  await using simulator = await simulate();
  simulator.control.addFault({ kind: "hang", operation: "token" });
  const cloud = open(simulator, {
    kind: "password",
    user: USER.name,
    password: new Secret(USER.password),
    domain: USER.domain,
  });
  const waiting = cloud.source.list("i1", window(), NEVER);
  const failed = expect(waiting).rejects.toMatchObject({ reason: "endpoint_unreachable" });
  await cloud[Symbol.asyncDispose]();
  await failed;
});
