import { expect, test } from "vitest";
import { shownTaskFields } from "../../src/core/task-fields.ts";
import { statusPage } from "../../src/page/status-page.ts";
import type { Api, JudgedTaskJson } from "../../src/views/api.ts";
import type { InstanceJson } from "../../src/views/instance.ts";
import type { StatusJson } from "../../src/views/status.ts";

const NOW = Date.parse("2026-11-24T10:00:00.000Z");
const at = (secondsAgo: number): string => new Date(NOW - secondsAgo * 1000).toISOString();
const PROJECT = { name: "prod", id: "p1" };
const nameOf = (index: number) => ({ id: `i${index}`, name: `instance ${index}`, engine: "kafka" as const });

const instance = (index: number, part: Partial<InstanceJson> = {}): InstanceJson => ({
  project: PROJECT,
  region: "eu-west-101",
  instance: nameOf(index),
  watched: true,
  discovered: true,
  reachable: true,
  unreachable: null,
  last_complete_poll_at: at(20),
  poll_interval_seconds: 60,
  maintenance_until: null,
  tasks: { open: 1, stuck: 0, failed: 0 },
  scheduled: [],
  ...part,
});

const task = (index: number, part: Partial<JudgedTaskJson> = {}): JudgedTaskJson => ({
  project: PROJECT,
  instance: nameOf(index),
  task: {
    id: `t${index}`,
    name: `task ${index}`,
    status: "EXECUTING",
    ...shownTaskFields(() => null),
    created_at: at(index),
  },
  duration_seconds: index,
  verdict: null,
  stuck_since: null,
  threshold: null,
  failed_since: null,
  acknowledged: null,
  muted_until: null,
  progress_ratio: null,
  limit: { seconds: 3600, source: "running_after", samples: 0 },
  ...part,
});

const STATUS: StatusJson = {
  version: "0.0.0",
  revision: "",
  time: at(0),
  ready: true,
  reasons: [],
  replica: "a",
  replicas: ["a"],
  shards: { total: 16, owned: 16 },
  store: { kind: "sqlite", up: true, unreadable_records: 0 },
  config: { hash: 1, loaded_at: at(60), last_reload: null },
  instances: 1,
  tasks: { open: 0, stuck: 0, failed: 0 },
  projects: [],
};

/** What the page reads. */
const apiOf = (instances: readonly InstanceJson[], tasks: readonly JudgedTaskJson[]) =>
  ({
    status: async () => STATUS,
    instances: async () => ({ instances, next: null }),
    tasks: async () => ({ tasks, next: null }),
    lanes: async () => ({ lanes: [], more: 0, idle: 0 }),
    newestEvents: async () => ({ events: [], cursor: "" }),
    webhooks: async () => [],
  }) as unknown as Api;

test("thousands of instances and tasks stay a page that is read: the pressing ones, and how many there are besides", async () => {
  const late = [
    instance(7, { last_complete_poll_at: at(3600) }),
    instance(8, { reachable: null, last_complete_poll_at: null }),
  ];
  const down = instance(9, {
    unreachable: { since: at(900), cause: "timeout", error_code: null, request_id: null },
    reachable: false,
  });
  const instances = [...Array.from({ length: 5_000 }, (_, index) => instance(100 + index)), ...late, down];
  const tasks = Array.from({ length: 5_000 }, (_, index) => task(index));
  const { status, body } = await statusPage(apiOf(instances, tasks), NOW);
  expect(status).toBe(200);
  expect(body.length).toBeLessThan(200_000);
  expect(body).toContain("Running (5000)");
  expect(body).toContain("4900 more are not shown.");
  // Nearest to its limit first.
  expect(body.indexOf("task 4999<")).toBeLessThan(body.indexOf("task 4998<"));
  expect(body).not.toContain("task 42<");
  expect(body).toContain("4953 more are not shown; the one that waits longest was polled");
  const table = body.slice(body.indexOf("<h3>Instances"));
  const order = [...table.matchAll(/instance (\d+)</g)].map(([, index]) => Number(index));
  expect(order.slice(0, 3)).toEqual([9, 7, 8]);
});

test("while the monitor does not see or tell something, the page says so first", async () => {
  const instances = [
    instance(1, { last_complete_poll_at: at(3600) }),
    instance(2, {
      unreachable: { since: at(900), cause: "permission_denied", error_code: null, request_id: null },
      reachable: false,
    }),
  ];
  const webhook = (name: string, state: string, dead_letters = 0) => ({
    name,
    format: "cloudevents",
    hosts: ["hooks.example.org"],
    events: [],
    state,
    pending: 3,
    oldest_pending_at: at(600),
    dead_letters,
    attempts: [],
  });
  const api = {
    ...apiOf(instances, []),
    status: async () => ({
      ...STATUS,
      ready: false,
      reasons: ["the store does not answer"],
      config: {
        ...STATUS.config,
        last_reload: { at: at(30), successful: false, problems: ["poll: bad <b>"] },
      },
      projects: [
        {
          name: "prod",
          id: "p1",
          region: "eu-west-101",
          instances: 2,
          not_watched: null,
          unreachable: null,
          credentials_valid: false,
          last_complete_poll_at: null,
          oldest_complete_poll_at: null,
          budget: { requests_per_second: 5, current: 5, needed: 1 },
          discovery: null,
        },
        {
          name: "blind",
          id: null,
          region: "eu-west-202",
          instances: 0,
          credentials_valid: true,
          not_watched: {
            since: at(300),
            cause: "server_error",
            reason: "its project id is not known: HTTP <503>",
          },
          unreachable: { since: at(240), cause: "server_error" },
          last_complete_poll_at: null,
          oldest_complete_poll_at: null,
          budget: { requests_per_second: 5, current: null, needed: 0 },
          discovery: null,
        },
      ],
    }),
    webhooks: async () => [webhook("ops", "disabled", 2), webhook("chat", "down"), webhook("fine", "ok")],
  } as unknown as Api;
  const { body } = await statusPage(api, NOW);
  const trouble = body.slice(body.indexOf('<section id="trouble"'), body.indexOf('<section id="failing"'));
  const lines = [...trouble.matchAll(/<li>(.*)<\/li>/g)].map(([, line = ""]) => line.replace(/<[^>]+>/g, ""));
  expect(lines).toEqual([
    "Project blind is not watched: its project id is not known: HTTP &#60;503&#62; (server error), since 5m ago.",
    "This replica is not ready: the store does not answer.",
    "The last reload failed 30s ago: poll: bad &#60;b&#62;.",
    "The credentials of project prod are refused.",
    "1 instance is unreachable: instance 2.",
    "1 instance is polled late: instance 1.",
    "Webhook ops is disabled: it answered 410.",
    "2 events could not be delivered to webhook ops.",
    "Webhook chat is down: what waits for it is kept.",
  ]);
  expect(body).toContain("<b>9</b> trouble");
});

test("nothing to see is said as such", async () => {
  const { body } = await statusPage(apiOf([], []), NOW);
  for (const none of [
    "Nothing that failed is open.",
    "Nothing is over its limit.",
    "Nothing runs.",
    "None yet.",
  ]) {
    expect(body).toContain(none);
  }
  expect(body).not.toContain('<section id="trouble"');
});
