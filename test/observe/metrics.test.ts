import fc from "fast-check";
import { expect, test } from "vitest";
import { LEFT_OUT_DEFAULTS } from "../../src/observe/catalog.ts";
import { preset } from "../../src/observe/preset.ts";
import { TaskNames } from "../../src/observe/task-names.ts";
import { BUILD, CONFIGURED, factOf, samplesOf, scene, transition } from "./scene.ts";
import { record, task, view } from "./views.ts";

const count = (text: string, name: string): number => samplesOf(text, name).length;

test("what is known of projects, webhooks, reasons and event types is there from the first scrape", async () => {
  const text = await scene().text();
  expect(samplesOf(text, "taskwatch_polls_total")).toEqual(['taskwatch_polls_total{project="prod"} 0']);
  expect(count(text, "taskwatch_poll_failures_total")).toBe(9);
  expect(count(text, "taskwatch_events_total")).toBe(16);
  expect(count(text, "taskwatch_webhook_failures_total")).toBe(6);
  expect(count(text, "taskwatch_api_request_duration_seconds_count")).toBe(7);
  expect(samplesOf(text, "taskwatch_credentials_valid")).toEqual([
    'taskwatch_credentials_valid{project="prod"} 1',
  ]);
  expect(samplesOf(text, "taskwatch_api_budget_requests_per_second")).toEqual([
    'taskwatch_api_budget_requests_per_second{project="prod"} 5',
  ]);
  expect(samplesOf(text, "taskwatch_discovery_interval_seconds")).toEqual([
    'taskwatch_discovery_interval_seconds{project="prod"} 300',
  ]);
  expect(samplesOf(text, "taskwatch_webhook_disabled")).toEqual([
    'taskwatch_webhook_disabled{webhook="ops"} 0',
  ]);
  expect(samplesOf(text, "taskwatch_lease_lost_total")).toEqual(["taskwatch_lease_lost_total 0"]);
  // Before the store has answered: an alert compares the two.
  expect(samplesOf(text, "taskwatch_shards")).toEqual(["taskwatch_shards 16"]);
  expect(samplesOf(text, "taskwatch_shards_owned")).toEqual(["taskwatch_shards_owned 0"]);
  expect(samplesOf(text, "taskwatch_unreadable_records")).toEqual(["taskwatch_unreadable_records 0"]);
  expect(samplesOf(text, "taskwatch_build_info")).toEqual([
    'taskwatch_build_info{version="0.1.0",revision="abc1234",node_version="v24.21.0"} 1',
  ]);
});

test("a reload keeps what was counted, starts what is new, and lets removed projects and webhooks disappear", async () => {
  const { metrics, recorder, text } = scene();
  recorder.emit(factOf(transition()));
  recorder.emit({ kind: "credentials.refused", project: "prod", error: null, retryAt: 0 });
  const both = {
    projects: [...CONFIGURED.projects, { name: "dev", requestsPerSecond: 1, discoverySeconds: null }],
    webhooks: ["ops", "chat"],
    shards: 16,
  };
  preset(metrics, both, BUILD);
  const after = await text();
  expect(samplesOf(after, "dms_task_transitions_total")).toEqual([expect.stringMatching(/prod.* 1$/)]);
  expect(samplesOf(after, "taskwatch_credentials_valid")).toEqual([
    'taskwatch_credentials_valid{project="dev"} 1',
    'taskwatch_credentials_valid{project="prod"} 0',
  ]);
  preset(metrics, { projects: both.projects.slice(1), webhooks: ["chat"], shards: 16 }, BUILD);
  // A poll that was under way when the project left.
  recorder.emit(factOf(transition()));
  const left = await text();
  expect(left).not.toContain('"prod"');
  expect(left).not.toContain('"ops"');
  expect(count(left, "taskwatch_polls_total")).toBe(1);
  expect(count(left, "taskwatch_webhook_duration_seconds_count")).toBe(1);
});

test("a project without discovery has no figures of discovery, also when a reload takes it away", async () => {
  const { metrics, recorder, text } = scene();
  recorder.emit({
    kind: "project.watch",
    project: "prod",
    at: 6000,
    unwatched: null,
    unconfirmed: null,
    discovered: { found: 3, listedAt: 5000 },
  });
  expect(samplesOf(await text(), "taskwatch_discovery_last_success_timestamp_seconds")).toEqual([
    'taskwatch_discovery_last_success_timestamp_seconds{project="prod"} 5',
  ]);
  const projects = CONFIGURED.projects.map((project) => ({ ...project, discoverySeconds: null }));
  preset(metrics, { ...CONFIGURED, projects }, BUILD);
  expect(await text()).not.toMatch(/^taskwatch_discover.*project/m);
});

test("a task name has one threshold per verdict, from one source at a time", async () => {
  const { recorder, text } = scene();
  const threshold = {
    taskName: "restart",
    verdict: "running_too_long",
    source: "by_task",
    seconds: 1200,
  } as const;
  recorder.emit({ kind: "thresholds.known", project: "prod", thresholds: [threshold] });
  recorder.emit({
    kind: "thresholds.known",
    project: "prod",
    thresholds: [
      { ...threshold, source: "learned", seconds: 900 },
      { ...threshold, taskName: "re start", seconds: 70 },
      { ...threshold, taskName: "re/start", seconds: 60 },
    ],
  });
  expect(samplesOf(await text(), "dms_task_stuck_threshold_seconds")).toEqual([
    'dms_task_stuck_threshold_seconds{project="prod",task_name="re_start",verdict="running_too_long",source="by_task"} 60',
    'dms_task_stuck_threshold_seconds{project="prod",task_name="restart",verdict="running_too_long",source="learned"} 900',
  ]);
});

test("the oldest pending event has a timestamp only while there is one", async () => {
  const { recorder, text } = scene();
  const name = "taskwatch_webhook_oldest_pending_timestamp_seconds";
  recorder.emit({
    kind: "outbox.counts",
    webhook: "ops",
    configured: true,
    pending: 1,
    oldestAt: 7000,
    dead: 0,
  });
  expect(samplesOf(await text(), name)).toEqual([`${name}{webhook="ops"} 7`]);
  recorder.emit({
    kind: "outbox.counts",
    webhook: "ops",
    configured: true,
    pending: 0,
    oldestAt: null,
    dead: 0,
  });
  expect(samplesOf(await text(), name)).toEqual([]);
});

test("a webhook that is not configured any more has series as long as anything of it is left", async () => {
  const { recorder, text } = scene();
  const of = async (webhook: string) =>
    (await text()).split("\n").filter((line) => line.includes(`webhook="${webhook}"`));
  const counts = { kind: "outbox.counts", webhook: "old", configured: false } as const;
  recorder.emit({ ...counts, pending: 2, oldestAt: 7000, dead: 0 });
  recorder.emit({ ...counts, pending: 0, oldestAt: null, dead: 2 });
  expect(await of("old")).toEqual([
    'taskwatch_dead_letters{webhook="old"} 2',
    'taskwatch_webhook_pending{webhook="old"} 0',
  ]);
  recorder.emit({ ...counts, pending: 0, oldestAt: null, dead: 0 });
  expect(await of("old")).toEqual([]);
  expect(await of("ops")).not.toEqual([]);
});

test("the figures of the process and of Node.js are there, without those that promtool refuses", async () => {
  const { metrics, text } = scene();
  metrics.collectDefaults();
  const output = await text();
  expect(count(output, "process_resident_memory_bytes")).toBe(1);
  expect(count(output, "nodejs_eventloop_lag_p99_seconds")).toBe(1);
  for (const name of LEFT_OUT_DEFAULTS) expect(output).not.toContain(name);
});

test("a status that is not known is OTHER, in counters and in gauges", async () => {
  const { recorder, show, text } = scene();
  recorder.emit(factOf(transition({ status: "PAUSED", durationSeconds: null, delaySeconds: null })));
  show(view({ tasks: [task({ status: "PAUSED" }), task({ id: "2", status: "FROZEN" })] }));
  const output = await text();
  expect(samplesOf(output, "dms_task_transitions_total")).toEqual([
    expect.stringMatching(/status="OTHER"\} 1$/),
  ]);
  expect(samplesOf(output, "dms_tasks_open")).toEqual([expect.stringMatching(/status="OTHER"\} 2$/)]);
});

test("after 200 task names of a project the rest is other, and the project says so", async () => {
  const { metrics, recorder, show, text } = scene();
  for (let i = 0; i < 199; i++) recorder.emit(factOf(transition({ taskName: `name-${i}` })));
  show(view({ tasks: [task({ name: "the 200th" })] }));
  const name = "taskwatch_task_names_capped";
  expect(samplesOf(await text(), name)).toEqual([`${name}{project="prod"} 0`]);
  recorder.emit(factOf(transition({ taskName: "x" })));
  recorder.emit(factOf(transition({ taskName: "y" })));
  recorder.emit(factOf(transition({ taskName: "name-7" })));
  show(
    view({
      tasks: [task({ name: "z" }), task({ id: "2", name: "w" }), task({ id: "3", name: "the 200th" })],
    }),
  );
  const output = await text();
  expect(samplesOf(output, name)).toEqual([`${name}{project="prod"} 1`]);
  expect(samplesOf(output, "dms_task_transitions_total").filter((line) => line.includes("other"))).toEqual([
    expect.stringMatching(/ 2$/),
  ]);
  expect(samplesOf(output, "dms_tasks_open").map((line) => line.replace(/.*task_name=/, ""))).toEqual([
    '"other",status="EXECUTING"} 2',
    '"the_200th",status="EXECUTING"} 1',
  ]);
  expect(metrics.taskNames.label("dev", "x")).toBe("x");
});

test("any task name becomes a label of at most 64 harmless characters, always the same one", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (name) => {
      const names = new TaskNames();
      const label = names.label("prod", name);
      expect(label).toMatch(/^[A-Za-z0-9_.-]{1,64}$/);
      expect(names.label("prod", name)).toBe(label);
      expect(names.label("prod", label)).toBe(label);
      expect(names.pair("prod", name)).toBe(`task_name="${label}"`);
    }),
  );
});

test("any project, instance or id is escaped so that every line stays one sample", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), async (project, name) => {
      const { recorder, show, text } = scene({
        projects: [{ name: project, requestsPerSecond: 5, discoverySeconds: null }],
        webhooks: [name],
        shards: 16,
      });
      recorder.emit({ ...factOf(transition()), project } as Parameters<typeof recorder.emit>[0]);
      show(
        view({
          project: { name: project, region: name },
          record: record({ instanceId: name, name: project }),
          tasks: [task({ name })],
        }),
      );
      for (const line of (await text()).split("\n").slice(0, -1)) {
        expect(line).toMatch(
          /^(# (HELP|TYPE) .+|\w+(\{(\w+="(?:[^"\\]|\\["\\n])*",?)*\})? [-+.\dInfNaE]+)$/i,
        );
      }
    }),
    { numRuns: 25 },
  );
});
