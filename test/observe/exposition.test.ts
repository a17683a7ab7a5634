import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { metricSpecs } from "../../src/observe/catalog.ts";
import { Exposition } from "../../src/observe/exposition.ts";
import { EVERY_EVENT, fullView, samplesOf, scene, stuckVerdict } from "./scene.ts";
import { record, T0, task, view } from "./views.ts";

const MINUTE = 60_000;
const OPEN =
  'dms_tasks_open{project="prod",instance_id="6ec6cf7a-0c83-4b3c-9b3f-1f0f1f3ab001",task_name="modifyAutoTopic",status="EXECUTING"}';

test("promtool has nothing to say about the whole output, with data in every family", async () => {
  const { metrics, recorder, show, text } = scene();
  metrics.collectDefaults();
  for (const event of EVERY_EVENT) recorder.emit(event);
  show(fullView(), fullView({ record: record({ instanceId: "b", name: "billing" }) }));
  const output = await text();
  for (const { name, type } of metricSpecs) {
    const sample = type === "histogram" ? `${name}_bucket` : name;
    expect(samplesOf(output, sample), name).not.toEqual([]);
  }
  const lint = spawnSync("promtool", ["check", "metrics"], { input: output, encoding: "utf8" });
  expect(lint.error, "promtool is needed: apt-get install prometheus").toBeUndefined();
  expect([lint.stdout, lint.stderr, lint.status]).toEqual(["", "", 0]);
});

test("with nothing to show yet promtool has nothing to say either", async () => {
  const { metrics, text } = scene();
  metrics.collectDefaults();
  const lint = spawnSync("promtool", ["check", "metrics"], { input: await text(), encoding: "utf8" });
  expect(lint.error, "promtool is needed: apt-get install prometheus").toBeUndefined();
  expect([lint.stdout, lint.stderr, lint.status]).toEqual(["", "", 0]);
});

test.each(["text", "openmetrics"] as const)(
  "%s: every family is declared once and its samples stand together, each series once",
  async (format) => {
    const { recorder, show, text } = scene();
    for (const event of EVERY_EVENT) recorder.emit(event);
    const many = Array.from({ length: 300 }, (_, i) =>
      fullView({ record: record({ instanceId: `i-${i}`, name: `n-${i}` }) }),
    );
    show(...many);
    const lines = (await text(format)).split("\n").slice(0, -1);
    const declared = lines.filter((line) => line.startsWith("# TYPE "));
    expect(new Set(declared).size).toBe(declared.length);
    expect(declared.length).toBe(metricSpecs.length);
    let family = "";
    for (const line of lines) {
      const type = /^# TYPE (\S+)/.exec(line);
      if (type) family = type[1]!;
      else if (!line.startsWith("#")) expect(line.startsWith(family), `${line} in ${family}`).toBe(true);
    }
    const series = lines.filter((line) => !line.startsWith("#")).map((line) => line.replace(/ \S+$/, ""));
    expect(new Set(series).size).toBe(series.length);
    expect(samplesOf(lines.join("\n"), "dms_instance_up")).toHaveLength(300);
  },
);

test("OpenMetrics ends with EOF, names counters without _total, and writes bucket bounds as floats", async () => {
  const { recorder, show, text } = scene();
  for (const event of EVERY_EVENT) recorder.emit(event);
  show(fullView());
  const open = await text("openmetrics");
  expect(open.endsWith("\n# EOF\n")).toBe(true);
  expect(open).not.toContain("\n\n");
  expect(open).toContain("# TYPE dms_task_failures counter\n");
  expect(open).toContain("# TYPE taskwatch_polls counter\n");
  expect(open).toContain('taskwatch_polls_total{project="prod"} 2\n');
  expect(open).toContain('dms_task_duration_seconds_bucket{le="1.0",');
  const plain = await text("text");
  expect(plain).not.toContain("# EOF");
  expect(plain).toContain("# TYPE dms_task_failures_total counter\n");
  expect(plain).toContain('dms_task_duration_seconds_bucket{le="1",');
});

test("an instance shows what is known of it, and no timestamp that does not exist", async () => {
  const { show, text } = scene();
  show(view({ up: null, lastCompleteAt: null, intervalSeconds: null }));
  const output = await text();
  const labels = 'project="prod",instance_id="6ec6cf7a-0c83-4b3c-9b3f-1f0f1f3ab001"';
  expect(samplesOf(output, "dms_instance_info")).toEqual([
    `dms_instance_info{${labels},instance_name="orders",engine="kafka",cloud_region="eu-west-101"} 1`,
  ]);
  expect(samplesOf(output, "dms_instance_up")).toEqual([]);
  expect(samplesOf(output, "dms_instance_last_success_timestamp_seconds")).toEqual([]);
  expect(samplesOf(output, "dms_instance_poll_interval_seconds")).toEqual([]);
  expect(samplesOf(output, "dms_instance_last_poll_timestamp_seconds")).toEqual([
    `dms_instance_last_poll_timestamp_seconds{${labels}} ${(T0 - 15_000) / 1000}`,
  ]);
  expect(samplesOf(output, "dms_task_failures_total")).toEqual([`dms_task_failures_total{${labels}} 0`]);
  expect(samplesOf(output, "taskwatch_config_last_reload_success_timestamp_seconds")).toEqual([]);
  expect(samplesOf(output, "taskwatch_webhook_oldest_pending_timestamp_seconds")).toEqual([]);
  expect(output).not.toMatch(/timestamp_seconds(\{.*\})? 0$/m);
});

test("an unreachable instance is 0, and the record of the project itself is no instance", async () => {
  const { show, text } = scene();
  show(
    view({
      up: false,
      record: record({
        unreachable: { since: T0, at: T0, cause: "timeout", answer: null, informed: [], muted: null },
      }),
    }),
    view({ record: record({ instanceId: "" }) }),
  );
  const output = await text();
  expect(samplesOf(output, "dms_instance_up")).toEqual([expect.stringMatching(/ 0$/)]);
  expect(samplesOf(output, "dms_instance_reachable")).toEqual([expect.stringMatching(/ 0$/)]);
  expect(samplesOf(output, "dms_instance_info")).toHaveLength(1);
});

test("a count that falls to 0 is shown as 0 for 15 minutes, also when a scrape comes late, and then is gone", async () => {
  const { clock, show, text } = scene();
  show(view({ tasks: [task()] }));
  expect(samplesOf(await text(), "dms_tasks_open")).toEqual([`${OPEN} 1`]);
  await clock.advance(60 * MINUTE);
  show(view());
  expect(samplesOf(await text(), "dms_tasks_open")).toEqual([`${OPEN} 0`]);
  await clock.advance(14 * MINUTE);
  expect(samplesOf(await text(), "dms_tasks_open")).toEqual([`${OPEN} 0`]);
  await clock.advance(MINUTE);
  expect(samplesOf(await text(), "dms_tasks_open")).toEqual([]);
  show(view({ tasks: [task()] }));
  expect(samplesOf(await text(), "dms_tasks_open")).toEqual([`${OPEN} 1`]);
});

test("a count that rises again within the 15 minutes starts them anew when it falls", async () => {
  const { clock, show, text } = scene();
  for (const tasks of [[task()], [], [task()], []]) {
    show(view({ tasks }));
    await text();
    await clock.advance(10 * MINUTE);
  }
  expect(samplesOf(await text(), "dms_tasks_open")).toEqual([`${OPEN} 0`]);
});

test("a removed instance keeps its name and its task gauges at 0 for 15 minutes, then nothing of it is left", async () => {
  const { clock, show, text } = scene();
  show(fullView());
  await text();
  const removedAt = clock.now();
  // The memory may still hold the tasks, and nobody may have scraped the instance before.
  for (const removed of [
    fullView({ removedAt }),
    fullView({ removedAt, record: record({ instanceId: "b" }) }),
  ]) {
    show(removed);
    const output = await text();
    const left = output
      .split("\n")
      .filter((line) => line.startsWith("dms_") && line.includes("instance_id="));
    expect(left.map((line) => [line.split("{")[0], line.split(" ").at(-1)])).toEqual([
      ["dms_instance_info", "1"],
      ["dms_tasks_open", "0"],
      ["dms_tasks_stuck", "0"],
      ["dms_task_failures_open", "0"],
      ["dms_tasks_muted", "0"],
    ]);
  }
  await clock.advance(15 * MINUTE);
  expect(await text()).not.toContain("instance_id=");
});

test("an instance that another replica took over leaves at once, and is not remembered", async () => {
  const { clock, show, text } = scene();
  show(view({ tasks: [task()] }));
  await text();
  await clock.advance(1000);
  show();
  expect(await text()).not.toContain("instance_id=");
  show(view());
  expect(samplesOf(await text(), "dms_tasks_open")).toEqual([]);
});

test("stuck counts what is judged and not acknowledged; failures what is not resolved", async () => {
  const { show, text } = scene();
  const acknowledged = { by: "ana", at: T0, reason: null };
  show(
    view({
      tasks: [
        task({ id: "1", verdict: stuckVerdict() }),
        task({ id: "2", verdict: stuckVerdict(), acknowledged }),
        task({ id: "3", status: "FAILED", failedAt: T0 }),
        task({ id: "4", status: "FAILED", failedAt: null, acknowledged }),
        task({ id: "5", status: "DELETED", failedAt: T0 }),
      ],
    }),
  );
  const output = await text();
  expect(samplesOf(output, "dms_tasks_open")).toEqual([`${OPEN} 2`]);
  expect(samplesOf(output, "dms_tasks_stuck")).toEqual([
    expect.stringMatching(
      /instance_name="orders",task_name="modifyAutoTopic",verdict="running_too_long"\} 1$/,
    ),
  ]);
  expect(samplesOf(output, "dms_task_failures_open")).toEqual([
    expect.stringMatching(/instance_name="orders",task_name="modifyAutoTopic"\} 2$/),
  ]);
});

test("what maintenance holds back is muted, and no failure or stuck task; what was announced before is none", async () => {
  const { show, text } = scene();
  const held = { eventId: "e", sequence: 2, until: T0 + 3_600_000 };
  const failed = { status: "FAILED", failedAt: T0 };
  show(
    view({
      tasks: [
        task({ id: "1", verdict: stuckVerdict(), muted: { ...held, announced: null } }),
        task({ id: "2", ...failed, muted: { ...held, announced: null } }),
        task({ id: "3", name: "failed later", ...failed, muted: { ...held, announced: "stuck" } }),
        task({ id: "4", name: "announced", verdict: stuckVerdict(), muted: { ...held, announced: "stuck" } }),
        task({ id: "5", name: "again", ...failed, muted: { ...held, announced: "failure" } }),
      ],
    }),
  );
  const output = await text();
  const shown = (name: string) =>
    samplesOf(output, name).map((line) => line.replace(/^.*task_name=/, "").replace(/"/g, ""));
  expect(shown("dms_tasks_muted")).toEqual([
    "failed_later,condition=failed} 1",
    "modifyAutoTopic,condition=failed} 1",
    "modifyAutoTopic,condition=stuck} 1",
  ]);
  expect(shown("dms_tasks_stuck")).toEqual(["announced,verdict=running_too_long} 1"]);
  expect(shown("dms_task_failures_open")).toEqual(["again} 1"]);
});

test("names that are one as a label are one series: counts added, the oldest and the latest taken", async () => {
  const { show, text } = scene();
  show(
    view({
      tasks: [
        task({ id: "1", name: "a b", createdAt: T0 - 3000, progress: { ratio: 0.5, since: T0 } }),
        task({ id: "2", name: "a/b", createdAt: T0 - 9000, progress: { ratio: 0.25, since: T0 } }),
        task({ id: "3", name: "a_b", createdAt: null }),
      ],
      record: record({
        ended: [
          { name: "a b", successAt: T0 - 5000, failureAt: T0 - 8000 },
          { name: "a/b", successAt: T0 - 7000, failureAt: T0 - 6000 },
        ],
      }),
    }),
  );
  const output = await text();
  const valuesOf = (name: string) => samplesOf(output, name).map((line) => line.replace(/^.*task_name=/, ""));
  expect(valuesOf("dms_tasks_open")).toEqual(['"a_b",status="EXECUTING"} 3']);
  expect(valuesOf("dms_task_oldest_open_timestamp_seconds")).toEqual([`"a_b"} ${(T0 - 9000) / 1000}`]);
  expect(valuesOf("dms_task_progress_ratio")).toEqual(['"a_b"} 0.25']);
  expect(valuesOf("dms_task_last_success_timestamp_seconds")).toEqual([`"a_b"} ${(T0 - 5000) / 1000}`]);
  expect(valuesOf("dms_task_last_failure_timestamp_seconds")).toEqual([`"a_b"} ${(T0 - 6000) / 1000}`]);
});

test("the last end of a task is shown as long as events are kept", async () => {
  const { clock, show, text } = scene();
  show(view({ record: record({ ended: [{ name: "n", successAt: T0, failureAt: null }] }) }));
  await clock.advance(7 * 86_400_000);
  expect(samplesOf(await text(), "dms_task_last_success_timestamp_seconds")).toHaveLength(1);
  await clock.advance(1);
  expect(samplesOf(await text(), "dms_task_last_success_timestamp_seconds")).toEqual([]);
});

test("the next of the scheduled tasks is the one that starts first", async () => {
  const { show, text } = scene();
  show(fullView());
  const output = await text();
  expect(samplesOf(output, "dms_scheduled_tasks")).toEqual([
    expect.stringMatching(/task_name="upgrade"\} 2$/),
  ]);
  expect(samplesOf(output, "dms_scheduled_task_next_start_timestamp_seconds")).toEqual([
    expect.stringMatching(new RegExp(` ${(T0 + 3_600_000) / 1000}$`)),
  ]);
});

test("scrapes that overlap share one computation", async () => {
  const { exposition, show } = scene();
  show(fullView());
  const [first, second] = await Promise.all([exposition.render("text"), exposition.render("text")]);
  expect(second).toBe(first);
  expect(await exposition.render("text")).not.toBe(first);
});

test("a scrape gives way to other work after every 4 ms", async () => {
  const { metrics, clock } = scene();
  const instances = Array.from({ length: 500 }, (_, i) => view({ record: record({ instanceId: `i-${i}` }) }));
  let looks = 0;
  const exposition = new Exposition({
    metrics,
    instances: () => instances,
    keepEndsMs: () => 0,
    // Every look at the clock costs a millisecond.
    clock: { now: () => clock.now(), monotonic: () => ++looks, sleep: clock.sleep, after: clock.after },
  });
  let turns = 0;
  let done = false;
  const turn = () => {
    turns += 1;
    if (!done) setImmediate(turn);
  };
  setImmediate(turn);
  await exposition.render("text");
  done = true;
  expect(turns).toBeGreaterThanOrEqual(100);
});
