import { expect, test } from "vitest";
import { tokenAuth } from "../../src/cloud/auth.ts";
import { findProjectId } from "../../src/cloud/projects.ts";
import { CloudError, UsageError } from "../../src/errors.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { client, KEYS, lastDay, NEVER } from "./client.ts";
import { json, serve } from "./serve.ts";

const ROW = {
  id: "t1",
  name: "modifyAutoTopic",
  status: "EXECUTING",
  created_at: "2026-11-24T09:00:00.000Z",
  updated_at: "2026-11-24T09:00:01.000Z",
};
const dms = (code: string) => ({ error_code: code, error_msg: "words" });

test("a list asks for its window in whole seconds, open at the end that is now, with everything signed", async () => {
  await using server = await serve((_, response) => json(response, { task_count: "1", tasks: [ROW] }));
  const clock = new ManualClock("2026-11-24T10:00:00.500Z");
  await using cloud = client(server.url, { clock });
  const window = { from: Date.parse("2026-11-23T10:00:00.999Z"), to: clock.now() };
  const listing = await cloud.source.list("i 1", window, NEVER);
  expect(listing).toMatchObject({ complete: true, gap: null, cause: null, window, malformed: [] });
  const [request] = server.requests;
  expect(request?.url).toBe("/v2/p1/instances/i%201/tasks?begin_time=20261123100000&limit=100");
  expect(request?.headers).toMatchObject({
    "x-sdk-date": "20261124T100000Z",
    "x-project-id": "p1",
    accept: "application/json",
    "content-type": "application/json",
    authorization: expect.stringContaining(
      "SignedHeaders=content-type;host;x-project-id;x-sdk-date, Signature=",
    ),
  });
});

test("every GET has a content type, with a signature and with a token", async () => {
  await using server = await serve((_, response) => json(response, {}, 404));
  for (const auth of [undefined, () => tokenAuth("token")]) {
    await using cloud = client(server.url, auth ? { auth } : {});
    const { source, api } = cloud;
    const calls = [
      source.list("i1", lastDay(), NEVER),
      source.show("i1", "t1", NEVER),
      source.progress("i1", "t1", NEVER),
      source.instances("kafka", NEVER),
      source.scheduled("i1", NEVER),
      findProjectId(api, server.url, "eu-west-101", NEVER),
    ];
    await Promise.allSettled(calls);
  }
  expect(server.requests).toHaveLength(12);
  for (const { headers, url } of server.requests)
    expect(headers["content-type"], url).toBe("application/json");
});

test("an end in the past is asked for a second later, because it may not count in", async () => {
  await using server = await serve((_, response) => json(response, { task_count: "0", tasks: [] }));
  const clock = new ManualClock("2026-11-24T10:00:00Z");
  await using cloud = client(server.url, { clock });
  const window = { from: Date.parse("2026-11-22T00:00:00Z"), to: Date.parse("2026-11-23T00:00:00Z") };
  await cloud.source.list("i1", window, NEVER);
  expect(server.requests[0]?.url).toContain("begin_time=20261122000000&end_time=20261123000001");
});

test("an error on a later page leaves a listing with what was read and why it is a part", async () => {
  const rows = Array.from({ length: 100 }, (_, index) => ({ ...ROW, id: `t${index}` }));
  await using server = await serve((_, response) => {
    if (server.requests.length === 1) json(response, { task_count: "150", tasks: rows });
    else json(response, dms("APIGW.0308"), 429);
  });
  await using cloud = client(server.url);
  const listing = await cloud.source.list("i1", lastDay(), NEVER);
  expect(listing.tasks.length).toBe(100);
  expect(listing).toMatchObject({
    complete: false,
    cause: "throttled",
    gap: expect.stringContaining("APIGW.0308"),
  });
  expect(cloud.gate.outcomes.map(({ error }) => error?.reason ?? null)).toEqual([null, "throttled"]);
});

test("two sightings of one task give the later one, malformed rows are told", async () => {
  await using server = await serve((_, response) =>
    json(response, {
      tasks: [{ ...ROW, status: "SUCCESS", updated_at: "2026-11-24T09:05:00Z" }, ROW, { id: "t2" }, {}],
    }),
  );
  await using cloud = client(server.url);
  const listing = await cloud.source.list("i1", lastDay(), NEVER);
  expect(listing.tasks.map(({ id, status }) => [id, status])).toEqual([["t1", "SUCCESS"]]);
  expect(listing.malformed.map(({ id }) => id)).toEqual(["t2", null]);
});

const LOOKUPS: readonly (readonly [name: string, status: number, body: unknown, expected: object])[] = [
  [
    "the task",
    200,
    { task_count: "1", tasks: [ROW] },
    { kind: "found", task: { id: "t1", status: "EXECUTING" } },
  ],
  ["a task of another id", 200, { tasks: [{ ...ROW, id: "t9" }] }, { kind: "unclear" }],
  ["no task at all", 200, { task_count: "0", tasks: [] }, { kind: "unclear" }],
  ["a row that cannot be read", 200, { tasks: [{ id: "t1" }] }, { kind: "unclear" }],
  ["a 404 for the task", 404, dms("DMS.00404001"), { kind: "gone" }],
  ["a 404 of the gateway", 404, dms("APIGW.0101"), { kind: "unclear" }],
  ["a 404 without a code", 404, "<html>", { kind: "unclear" }],
];

test.each(LOOKUPS)("looking one task up and getting %s", async (_, status, body, expected) => {
  await using server = await serve((_request, response) => json(response, body, status));
  await using cloud = client(server.url);
  expect(await cloud.source.show("i1", "t1", NEVER)).toMatchObject(expected);
  expect(server.requests[0]?.url).toBe("/v2/p1/instances/i1/tasks/t1");
});

test.each([
  ["an instance that is gone", 404, "DMS.00404022", "not_found"],
  ["the 404 that means throttled", 404, "DMS.10240407", "throttled"],
  ["refused credentials", 401, "APIGW.0301", "credentials_rejected"],
  ["trouble on the server", 500, "DMS.00500000", "server_error"],
])("looking one task up and getting %s is an error, never 'gone'", async (_, status, code, reason) => {
  await using server = await serve((_request, response) => json(response, dms(code), status));
  await using cloud = client(server.url);
  await expect(cloud.source.show("i1", "t1", NEVER)).rejects.toMatchObject({ reason });
});

test("progress has a ratio, and is null where the engine has no such call", async () => {
  await using server = await serve((_, response) => {
    if (server.requests.length === 1) json(response, { progress_percentage: 40 });
    else json(response, dms("APIGW.0101"), 404);
  });
  await using cloud = client(server.url);
  expect(await cloud.source.progress("i1", "t1", NEVER)).toMatchObject({ ratio: 0.4 });
  expect(await cloud.source.progress("i1", "t1", NEVER)).toBeNull();
  expect(cloud.gate.outcomes.map(({ operation }) => operation)).toEqual(["task_progress", "task_progress"]);
});

test("instances are listed whole over pages, by engine", async () => {
  const all = Array.from({ length: 120 }, (_, index) => ({ instance_id: `i${index}`, name: `n${index}` }));
  await using server = await serve((request, response) => {
    const query = new URL(request.url ?? "", "http://x").searchParams;
    const offset = Number(query.get("offset") ?? 0);
    json(response, { instance_num: 120, instances: all.slice(offset, offset + Number(query.get("limit"))) });
  });
  await using cloud = client(server.url);
  const instances = await cloud.source.instances("rabbitmq", NEVER);
  expect(instances.length).toBe(120);
  expect(server.requests[0]?.url).toBe("/v2/p1/instances?engine=rabbitmq&limit=50");
  expect(server.requests.length).toBe(3);
});

test("a list of instances that cannot be read whole is an error", async () => {
  const all = Array.from({ length: 50 }, (_, index) => ({ instance_id: `i${index}` }));
  await using server = await serve((_, response) => json(response, { instance_num: 120, instances: all }));
  await using cloud = client(server.url);
  await expect(cloud.source.instances("kafka", NEVER)).rejects.toThrow(/not listed whole/);
});

test("scheduled tasks are read from their own list", async () => {
  await using server = await serve((_, response) =>
    json(response, { job_count: 1, jobs: [{ ...ROW, schedule_at: "2026-11-25T00:00:00Z" }] }),
  );
  await using cloud = client(server.url);
  expect(await cloud.source.scheduled("i1", NEVER)).toMatchObject([
    { id: "t1", scheduleAt: Date.parse("2026-11-25T00:00:00Z") },
  ]);
  expect(server.requests[0]?.url).toBe("/v2/p1/instances/i1/scheduled-tasks?limit=100");
});

test("a project id is looked up by the region's name, signed, without a project header, and never made", async () => {
  await using server = await serve((_, response) =>
    json(response, {
      projects: [
        { id: "p-sub", name: "eu-west-101_sub", enabled: true },
        { id: "p-1", name: "eu-west-101", enabled: true },
      ],
    }),
  );
  await using cloud = client(server.url);
  expect(await findProjectId(cloud.api, server.url, "eu-west-101", NEVER)).toBe("p-1");
  expect(server.requests[0]?.url).toBe("/v3/projects?name=eu-west-101");
  expect(server.requests[0]?.headers["x-project-id"]).toBeUndefined();
  expect(server.requests.map(({ method }) => method)).toEqual(["GET"]);
  expect(cloud.gate.outcomes.map(({ operation }) => operation)).toEqual(["list_projects"]);
});

test("no project, or more than one, is told with what to do", async () => {
  await using server = await serve((_, response) =>
    json(response, {
      projects:
        server.requests.length === 1
          ? []
          : ["a", "b"].map((id) => ({ id, name: "eu-west-101", enabled: true })),
    }),
  );
  await using cloud = client(server.url);
  const find = () => findProjectId(cloud.api, server.url, "eu-west-101", NEVER);
  await expect(find()).rejects.toThrow(/knows no project named eu-west-101 .*set project_id/);
  await expect(find()).rejects.toThrow(/2 projects named eu-west-101: a, b; set project_id/);
  await expect(find()).rejects.toBeInstanceOf(UsageError);
});

test("after a refusal by a cloud whose clock differs, the next call is signed by that clock", async () => {
  const cloudTime = Date.now() + 20 * 60_000;
  await using server = await serve((_, response) => {
    const headers = { date: new Date(cloudTime).toUTCString() };
    if (server.requests.length === 1) json(response, dms("APIGW.0301"), 401, headers);
    else json(response, { task_count: "0", tasks: [] }, 200, headers);
  });
  await using cloud = client(server.url);
  await expect(cloud.source.list("i1", lastDay(), NEVER)).rejects.toMatchObject({ reason: "clock_skew" });
  await cloud.source.list("i1", lastDay(), NEVER);
  const signed = server.requests.map(({ headers }) => String(headers["x-sdk-date"]));
  const minutes = signed.map((date) => Number(date.slice(9, 11)) * 60 + Number(date.slice(11, 13)));
  expect(((minutes[1] ?? 0) - (minutes[0] ?? 0) + 1440) % 1440).toBeGreaterThanOrEqual(19);
});

test("no error holds a key, whatever the cloud echoes", async () => {
  await using server = await serve((request, response) =>
    json(
      response,
      {
        error_code: "APIGW.0301",
        error_msg: `bad: ${JSON.stringify(request.headers)} ${KEYS.accessKey} ${KEYS.secretKey}`,
      },
      401,
    ),
  );
  await using cloud = client(server.url);
  const error: unknown = await cloud.source.list("i1", lastDay(), NEVER).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CloudError);
  const shown = `${String(error)} ${JSON.stringify(error)} ${(error as CloudError).stack}`;
  expect(shown).not.toContain(KEYS.secretKey);
  expect(shown).not.toContain(KEYS.accessKey);
  expect(shown).not.toMatch(/Signature=[0-9a-f]/);
});

test("a task whose id cannot be asked for is left as it is, and not taken for one that is gone", async () => {
  const row = { ...ROW, id: "x".repeat(10_000) };
  await using server = await serve((_, response) => json(response, { task_count: "1", tasks: [row] }));
  await using cloud = client(server.url);
  const { tasks } = await cloud.source.list("i1", lastDay(), NEVER);
  const id = tasks[0]?.id ?? "";
  expect(await cloud.source.show("i1", id, NEVER)).toMatchObject({ kind: "unclear" });
  expect(await cloud.source.progress("i1", id, NEVER)).toBeNull();
  expect(server.requests).toHaveLength(1);
});
