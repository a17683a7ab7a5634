import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeInstances,
  decodeProgress,
  decodeProjects,
  decodeScheduled,
  decodeTasks,
  instant,
} from "../../src/cloud/decode.ts";
import { NO_FIELDS } from "../../src/core/task-fields.ts";

const ROW = {
  id: "8abfa7b372160bfd0172165864064079",
  name: "modifyAutoTopic",
  user_name: "paas_dms",
  user_id: "3df5acbc24a54fadb62a043c9000a307",
  params: '{"new_enable_auto_topic":true}',
  status: "EXECUTING",
  created_at: "2020-05-15T03:19:04.707Z",
  updated_at: "2020-05-15T03:19:04.726Z",
};

function one(row: unknown): unknown {
  const page = decodeTasks({ task_count: "1", tasks: [row] });
  const [first] = page?.rows ?? [];
  return first?.kind === "item" ? first.item : first;
}

test("the documented sample is read", () => {
  expect(decodeTasks({ task_count: "4", tasks: [ROW] })).toEqual({
    total: 4,
    rows: [
      {
        kind: "item",
        item: {
          id: ROW.id,
          name: "modifyAutoTopic",
          status: "EXECUTING",
          userName: "paas_dms",
          userId: ROW.user_id,
          params: ROW.params,
          createdAt: Date.parse(ROW.created_at),
          updatedAt: Date.parse(ROW.updated_at),
        },
      },
    ],
  });
});

test("ids and names are kept short and well-formed, and two ids never become one", () => {
  const long = "x".repeat(10_000);
  const half = "\ud83d";
  const ids = [
    `${long}1`,
    `${long}2`,
    long,
    `a${half}`,
    "a\udc00",
    "a\ufffd",
    `${"x".repeat(255)}😀`,
    "x".repeat(256),
  ];
  const kept = ids.map((id) =>
    one({ ...ROW, id, name: id, user_name: id, user_id: id, status: `${"S".repeat(63)}😀` }),
  );
  const items = kept as { id: string; name: string; userName: string; userId: string; status: string }[];
  expect(new Set(items.map(({ id }) => id)).size).toBe(ids.length);
  for (const { id, name, userName, userId, status } of items)
    for (const text of [id, name, userName, userId, status]) {
      expect(text.length).toBeLessThanOrEqual(256);
      expect(text.isWellFormed()).toBe(true);
    }
  expect(items.at(-1)).toMatchObject({ id: "x".repeat(256), name: "x".repeat(256) });
  // The same one again is the same.
  expect(one({ ...ROW, id: ids[0] })).toMatchObject({ id: items[0]?.id });
  // An instance is asked for by its id, and a part of one would be another's.
  const instance = (instance_id: string) =>
    decodeInstances({ instances: [{ instance_id, name: long }] }, "kafka");
  expect(instance(long)?.rows).toMatchObject([{ kind: "malformed" }]);
  expect(instance("i")?.rows).toMatchObject([{ item: { name: "x".repeat(256) } }]);
});

test("a row without an id or a status is malformed and never costs the others", () => {
  const page = decodeTasks({
    tasks: [
      ROW,
      null,
      7,
      "x",
      [],
      {},
      { ...ROW, id: "" },
      { ...ROW, id: {} },
      { ...ROW, status: null },
      { id: "z", status: "FAILED" },
    ],
  });
  expect(page?.rows.map((row) => (row.kind === "item" ? row.item.id : row.id))).toEqual([
    ROW.id,
    ...Array.from({ length: 7 }, () => null),
    ROW.id,
    "z",
  ]);
  expect(page?.rows.map(({ kind }) => kind)).toEqual([
    "item",
    ...Array.from({ length: 8 }, () => "malformed"),
    "item",
  ]);
});

test("missing, null and strangely typed fields cost only themselves", () => {
  expect(one({ id: 12, status: " executing " })).toEqual({
    id: "12",
    name: "",
    status: "EXECUTING",
    ...NO_FIELDS,
  });
  expect(one({ ...ROW, name: null, params: { a: 1 }, created_at: "soon", updated_at: {} })).toMatchObject({
    name: "",
    params: '{"a":1}',
    createdAt: null,
    updatedAt: null,
  });
});

test("statuses are put in capitals and one spelling; unknown ones are kept", () => {
  for (const status of ["Canceled", "CANCELED", "canceled", "Cancelled", "CANCELLED", " cancelled "])
    expect(one({ ...ROW, status })).toMatchObject({ status: "CANCELLED" });
  expect(one({ ...ROW, status: "rolling_back" })).toMatchObject({ status: "ROLLING_BACK" });
});

test.each([
  ["4", 4],
  [4, 4],
  [" 4 ", 4],
  [undefined, null],
  [null, null],
  ["many", null],
  [{}, null],
])("a task_count of %j is %j", (count, total) => {
  expect(decodeTasks({ task_count: count, tasks: [] })?.total).toBe(total);
});

test("an empty list may leave the array out, but something else is no list", () => {
  expect(decodeTasks({ task_count: "0" })).toEqual({ rows: [], total: 0 });
  expect(decodeTasks({ task_count: 0, tasks: null })).toEqual({ rows: [], total: 0 });
  for (const body of [
    null,
    undefined,
    3,
    "x",
    [],
    {},
    { ok: true },
    { task_count: "3" },
    { task_count: "3", tasks: null },
    { tasks: {} },
    { tasks: "no" },
  ]) {
    expect(decodeTasks(body), JSON.stringify(body)).toBeUndefined();
  }
});

test.each([
  ["2020-05-15T03:19:04.707Z", "2020-05-15T03:19:04.707Z"],
  ["2020-12-31T23:59:59.999Z", "2020-12-31T23:59:59.999Z"],
  ["2020-02-29T00:00:00.000Z", "2020-02-29T00:00:00.000Z"],
  ["2020-05-15T03:19:04Z", "2020-05-15T03:19:04.000Z"],
  ["2020-05-15T03:19:04.707123Z", "2020-05-15T03:19:04.707Z"],
  ["2020-05-15 03:19:04", "2020-05-15T03:19:04.000Z"],
  ["2020-05-15T03:19:04", "2020-05-15T03:19:04.000Z"],
  ["2020-05-15T11:19:04+08:00", "2020-05-15T03:19:04.000Z"],
  ["2020-05-15T11:19:04+0800", "2020-05-15T03:19:04.000Z"],
  ["1585618587087", "2020-03-31T01:36:27.087Z"],
  [1585618587087, "2020-03-31T01:36:27.087Z"],
  ["1585618587", "2020-03-31T01:36:27.000Z"],
  [1585618587, "2020-03-31T01:36:27.000Z"],
])("the time %j is read", (value, iso) => {
  expect(new Date(instant(value) ?? 0).toISOString()).toBe(iso);
});

test.each([
  undefined,
  null,
  "",
  "soon",
  "2020-13-45T00:00:00Z",
  "2020-13-15T00:00:00.000Z",
  "2020-05-15T24:00:01.000Z",
  "2020-05-15T03x19:04.707Z",
  "2020-05-1aT03:19:04.707Z",
  "12",
  0,
  -5,
  Number.NaN,
  1e300,
  {},
  [],
  true,
])("%j is no time", (value) => {
  expect(instant(value)).toBeNull();
});

test("scheduled tasks and instances are read", () => {
  expect(
    decodeScheduled({ job_count: 2, jobs: [{ ...ROW, schedule_at: "2020-05-16T00:00:00Z" }, { id: "x" }] }),
  ).toMatchObject({
    total: 2,
    rows: [
      { kind: "item", item: { id: ROW.id, scheduleAt: Date.parse("2020-05-16T00:00:00Z") } },
      { kind: "malformed", id: "x" },
    ],
  });
  expect(
    decodeInstances(
      {
        instance_num: 2,
        instances: [
          {
            instance_id: "i1",
            name: "orders",
            engine: "reliability",
            status: "running",
            created_at: "1585618587087",
          },
          { name: "no id" },
          { instance_id: "i2" },
        ],
      },
      "rocketmq",
    )?.rows,
  ).toEqual([
    {
      kind: "item",
      item: { id: "i1", name: "orders", engine: "rocketmq", createdAt: 1585618587087, status: "RUNNING" },
    },
    { kind: "malformed", id: null, problem: "instance_id is missing or not a text" },
    { kind: "item", item: { id: "i2", name: "i2", engine: "rocketmq", createdAt: null, status: "" } },
  ]);
});

const ratioOf = (body: unknown) => decodeProgress(body)?.ratio;

test("progress is a ratio in either service's spelling, and null where the answer gives none", () => {
  expect(ratioOf({ progress_percentage: 40, remain_time: 3, step_list: [] })).toBe(0.4);
  expect(ratioOf({ progress: "75", step_details: [] })).toBe(0.75);
  expect(ratioOf({ progress: 180 })).toBe(1);
  expect(ratioOf({ progress: -3 })).toBe(0);
  for (const body of [{}, { progress: null }, { progress: "half" }, null, []])
    expect(decodeProgress(body)).toBeNull();
});

test("steps of progress are read in both spellings and in every form of time", () => {
  const start = Date.parse("2025-11-17T03:07:47.752Z");
  const times = { startedAt: start, endedAt: start + 43_000 };
  const done = { name: "pre_check", state: "COMPLETED", ...times };
  const kafka = { name: "pre_check", start_time: start, end_time: start + 43_000 };
  for (const step of [
    { ...kafka, statue: "COMPLETED" },
    { ...kafka, status: "completed" },
    { ...kafka, statue: "COMPLETED", status: "WAITING" },
    {
      ...kafka,
      statue: "COMPLETED",
      start_time: `${start}`,
      end_time: new Date(start + 43_000).toISOString(),
    },
  ]) {
    const body = { progress_percentage: 100, remain_time: 0, step_list: [step] };
    expect(decodeProgress(body)).toEqual({ ratio: 1, remainTime: 0, steps: [done] });
  }
  const dcs = {
    step_id: "1",
    step_name: "pre_check",
    step_status: "COMPLETED",
    begin_time: new Date(start).toISOString(),
    end_time: new Date(start + 43_000).toISOString(),
    sub_step_details: [],
  };
  expect(decodeProgress({ progress: 50, remain_time: 9, step_details: [dcs] })).toEqual({
    ratio: 0.5,
    remainTime: 9,
    steps: [done],
  });
});

test("a step that has not begun has no times, and bad steps cost themselves alone", () => {
  const long = "x".repeat(5_000);
  const steps = [
    { name: "wait", statue: "WAITING", start_time: "", end_time: null },
    null,
    7,
    [],
    {},
    { name: long, statue: long, start_time: {}, end_time: -1 },
    ...Array.from({ length: 10_000 }, (_, index) => ({ name: `s${index}` })),
  ];
  const progress = decodeProgress({ step_list: steps });
  expect(progress?.ratio).toBeNull();
  expect(progress?.steps.slice(0, 2)).toEqual([
    { name: "wait", state: "WAITING", startedAt: null, endedAt: null },
    { name: "x".repeat(256), state: "X".repeat(64), startedAt: null, endedAt: null },
  ]);
  expect(progress?.steps.length).toBeLessThanOrEqual(100);
  expect(decodeProgress({ progress: 5, step_list: "soon" })).toMatchObject({ ratio: 0.05, steps: [] });
});

test("projects that are switched off do not count", () => {
  expect(
    decodeProjects({ projects: [{ id: "a", name: "r", enabled: true }, { id: "b", enabled: false }, 3] }),
  ).toEqual([{ id: "a", name: "r" }]);
  expect(decodeProjects({ error: {} })).toBeUndefined();
});

test("no body makes the decoders throw", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (value, row) => {
      for (const body of [
        value,
        { tasks: value },
        { tasks: [row, value] },
        { jobs: [row] },
        { instances: [row] },
      ]) {
        const steps = { progress: value, remain_time: row, step_list: [row, value], step_details: value };
        expect(() => {
          decodeTasks(body);
          decodeScheduled(body);
          decodeInstances(body, "kafka");
          decodeProgress(body);
          decodeProgress(steps);
          decodeProjects(body);
        }).not.toThrow();
      }
    }),
  );
});

test("parameters that are nested too deeply to be written cost themselves alone", () => {
  const deep = JSON.parse(`${"[".repeat(20_000)}${"]".repeat(20_000)}`);
  const { rows } =
    decodeTasks({
      tasks: [
        { ...ROW, params: deep },
        { ...ROW, id: "another" },
      ],
    }) ?? {};
  expect(rows).toMatchObject([
    { kind: "item", item: { id: ROW.id, params: null } },
    { kind: "item", item: { id: "another", params: ROW.params } },
  ]);
});
