import { spawnSync } from "node:child_process";
import { expect, test, vi } from "vitest";
import { checkedProject, startCheckedCloud } from "../support/checked-cloud.ts";
import { Folder } from "../support/daemon.ts";
import { RunningApp } from "../support/running-app.ts";
import { webhookOf } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

vi.setConfig({ testTimeout: 90_000 });

const KEY = { access_key: "HOSTILEACCESSKEY0000", secret_key: "HostileSecretKey00000000000000000000000" };
const INSTANCE = "6ec6cf7a-0c83-4b3c-9b3f-1f0f1f3ab001";
const LONG = "x".repeat(10_000);
/** Half of a surrogate pair: JSON can write it, no text in UTF-8 can hold it. */
const HALF = "\ud83d";

/** Ids and names that a program may stumble over, each a task of its own. */
const TROUBLE: readonly { readonly id: string; readonly name: unknown }[] = [
  { id: "__proto__", name: "__proto__" },
  { id: "constructor", name: "constructor" },
  { id: "hasOwnProperty", name: "toString" },
  { id: `${LONG}1`, name: LONG },
  { id: `${LONG}2`, name: LONG },
  { id: `half-${HALF}`, name: `half-${HALF}` },
  { id: "half-\udc00", name: "half-\udc00" },
  { id: "half-\ufffd", name: "the replacement character itself" },
  { id: "nul-\u0000-in-the-middle", name: "\u0000" },
  { id: 'control\u001b[31m\r\n{"level":"fatal"}\u2028', name: "\u001b[31mred\r\nanother line\u2028\u0085" },
  { id: 'quote-"} 1\ndms_instance_up{instance_id="', name: '"} 1\nevil{a="\\' },
  { id: "../../etc/passwd?x=1#y", name: "{{7*7}}<script>alert(1)</script>" },
  { id: "a/b c%20d", name: " " },
  { id: "name-is-a-map", name: { a: 1 } },
  { id: "name-is-empty", name: "" },
  { id: "кириллица-😀", name: "перезапуск 😀" },
];

const iso = (ago: number) => new Date(Date.now() - ago).toISOString();

/** Rows of a listing in which every task has this status, and rows that are none. */
function listing(status: string): unknown[] {
  const dates = { created_at: iso(60_000), updated_at: iso(1_000) };
  return [
    null,
    7,
    "task",
    [],
    {},
    { id: "", name: "empty", status },
    { id: { toString: "x" }, name: "id-is-a-map", status },
    ...TROUBLE.map((task) => ({ ...task, status, user_name: LONG, params: LONG, ...dates })),
    {
      id: "date-is-none",
      name: "dates",
      status,
      created_at: "yesterday",
      updated_at: "2026-13-45T99:99:99Z",
    },
    { id: "date-is-far", name: "dates", status, created_at: "9999-12-31T23:59:59.999Z", updated_at: 1e300 },
    { id: "date-is-missing", name: "dates", status },
    { id: "twice", name: "twice", status, ...dates },
    { id: "twice", name: "twice", status: "EXECUTING", created_at: iso(60_000), updated_at: iso(30_000) },
    {
      id: "unknown",
      name: "unknown",
      status: status === "FAILED" ? status : `EXPLODING\n${HALF}${LONG}`,
      ...dates,
    },
    { id: "good", name: "restartInstance", status, ...dates },
  ];
}

test("hostile rows cost nothing but themselves: every task is told by itself, in well-formed events, log lines and series", async () => {
  let rows: unknown = listing("EXECUTING");
  await using folder = await Folder.create();
  await using inbox = await Inbox.start();
  await using cloud = await startCheckedCloud(KEY, (_instance, _query, task) =>
    // Asked for by id: nothing is known, so that whatever is lost would vanish.
    task === null ? { task_count: "1e999", tasks: rows, __proto__: { tasks: [] }, extra: LONG } : undefined,
  );
  const config = {
    projects: [checkedProject(cloud, KEY, [{ id: INSTANCE, name: "orders" }])],
    poll: { schedule: "* * * * * *", active_schedule: "off" },
    store: { url: `sqlite:${folder.file("taskwatch.db")}` },
    stuck: { by_task: { toString: "1h" } },
    privacy: { task_params: true },
    webhooks: [webhookOf(inbox)],
    server: { listen: "127.0.0.1:0" },
  };
  const tasks = TROUBLE.length + 6;
  const polls = async (app: RunningApp, count: number) => {
    for (let n = 0; n < count; n++)
      await app.log.until(
        ({ component, msg }) => component === "poll" && /^poll/.test(msg),
        app.log.lines.length,
      );
  };
  {
    await using app = await RunningApp.start(config);
    await inbox.until(() => inbox.ofType("task.started").length === tasks);
    await polls(app, 2);
    expect(inbox.letters).toHaveLength(tasks);
    await expectReadable(app, inbox);
  }
  // The store gives back what it was given: nothing is news to the next one.
  await using app = await RunningApp.start(config);
  await polls(app, 3);
  expect(inbox.letters).toHaveLength(tasks);

  rows = listing("FAILED");
  await inbox.until(() => inbox.ofType("task.failed").length === tasks);
  await polls(app, 2);
  expect(inbox.letters).toHaveLength(2 * tasks);
  const subjects = inbox.ofType("task.failed").map(({ subject }) => subject ?? "");
  expect(new Set(subjects).size).toBe(tasks);
  expect(new Set(inbox.ofType("task.started").map(({ subject }) => subject))).toEqual(new Set(subjects));
  for (const id of ["__proto__", "constructor", "good", "twice", "half-\ufffd", "кириллица-😀", "a/b c%20d"])
    expect(subjects).toContain(id);
  expect(inbox.ofTask("good").map(({ data }) => data.task?.status)).toEqual(["EXECUTING", "FAILED"]);

  const scrape = await expectReadable(app, inbox);
  expect(scrape.sum("dms_task_failures_open")).toBe(tasks);
  // What lasts is said once.
  const unread = app.log.of("a row of the listing could not be read").map(({ problem }) => problem);
  expect(unread.length).toBeGreaterThan(0);
  expect(new Set(unread).size).toBe(unread.length);
  expect(inbox.bad).toEqual([]);
});

/** Everything that the daemon says is whole: log lines, series, events. */
async function expectReadable(app: RunningApp, inbox: Inbox) {
  const lines = app.log.text.trimEnd().split("\n");
  expect(lines.map((line) => typeof JSON.parse(line))).toEqual(lines.map(() => "object"));
  for (const line of lines) {
    expect(line.length, line.slice(0, 200)).toBeLessThan(4_000);
    expect(
      [...line].filter((char) => char < " " || char === "\u007f"),
      line,
    ).toEqual([]);
  }
  expect(app.log.lines.filter(({ level }) => level === "error" || level === "fatal")).toEqual([]);

  const scrape = await app.scrape();
  const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
    input: scrape.text,
    encoding: "utf8",
  });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "" });
  expect(scrape.series("evil")).toEqual([]);
  expect(scrape.series("dms_instance_up")).toHaveLength(1);
  expect(Math.max(...scrape.text.split("\n").map((line) => line.length))).toBeLessThan(1_000);

  for (const { body, subject, data } of inbox.letters) {
    expect(body.isWellFormed()).toBe(true);
    expect(JSON.stringify(JSON.parse(body)).isWellFormed()).toBe(true);
    expect(body.length).toBeLessThan(20_000);
    for (const text of [subject, data.task?.id, data.task?.name, data.task?.status, data.task?.user_name])
      expect((text ?? "").length).toBeLessThanOrEqual(256);
  }
  return scrape;
}
