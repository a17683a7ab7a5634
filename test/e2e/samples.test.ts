import { expect, test, vi } from "vitest";
import { SAMPLES } from "../cli/samples.ts";
import { type Answers, checkedProject, startCheckedCloud } from "../support/checked-cloud.ts";
import { RunningApp } from "../support/running-app.ts";
import { webhookOf } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

vi.setConfig({ testTimeout: 90_000 });

const KEY = { access_key: "SAMPLEACCESSKEY00000", secret_key: "SampleSecretKey000000000000000000000000" };
type Sample = (typeof SAMPLES)[number];
const [SEED, SHOWN, RABBIT, DCS] = SAMPLES as [Sample, Sample, Sample, Sample];

async function watch(answers: Answers) {
  const stack = new AsyncDisposableStack();
  const inbox = stack.use(await Inbox.start());
  const cloud = stack.use(await startCheckedCloud(KEY, answers));
  const config = {
    projects: [
      checkedProject(
        cloud,
        KEY,
        SAMPLES.map(({ id, name, engine }) => ({ id, name, engine })),
      ),
    ],
    poll: { schedule: "* * * * * *", active_schedule: "off" },
    store: { url: "sqlite::memory:" },
    webhooks: [webhookOf(inbox)],
    server: { listen: "127.0.0.1:0" },
  };
  const app = stack.use(await RunningApp.start(config));
  return { app, inbox, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const bodyOf = (id: string) => SAMPLES.find((sample) => sample.id === id)?.body;

async function polledTwice({ log }: RunningApp): Promise<void> {
  for (const { name } of SAMPLES) {
    const polled = () =>
      log.lines.filter(({ component, instance_name: of }) => component === "poll" && of === name);
    await log.until(() => polled().length >= 2);
  }
}

test("the documented sample answers give the right series and the right events", async () => {
  await using all = await watch((instance) => bodyOf(instance));
  const { app, inbox } = all;
  await polledTwice(app);
  await inbox.until(() => inbox.ofType("task.stuck").length === 2);
  const scrape = await app.scrape();

  // Of the first sample's four tasks two are shown, fewer than any page holds, and nothing moves them: the count is a hint.
  expect(scrape.value("taskwatch_list_count_mismatches_total", { project: "prod" })).toBeGreaterThanOrEqual(
    2,
  );
  const up = SAMPLES.map(({ id }) => scrape.value("dms_instance_up", { instance_id: id }));
  expect(up).toEqual([1, 1, 1, 1]);
  const open = { instance_id: SEED.id, task_name: "modifyAutoTopic" };
  expect(scrape.value("dms_tasks_open", { ...open, status: "EXECUTING" })).toBe(1);
  expect(scrape.value("dms_tasks_stuck", { ...open, verdict: "running_too_long" })).toBe(1);
  expect(scrape.value("dms_task_oldest_open_timestamp_seconds", open)).toBe(
    Date.parse("2020-05-15T03:19:51.046Z") / 1_000,
  );
  expect(scrape.series("dms_tasks_open").map(({ labels }) => labels.instance_id)).toEqual(
    expect.arrayContaining([SEED.id, SHOWN.id]),
  );
  for (const { id } of [RABBIT, DCS])
    expect(scrape.series("dms_tasks_open", { instance_id: id })).toEqual([]);
  // What had ended long ago is recorded, not told.
  expect(scrape.sum("dms_task_failures_open")).toBe(0);
  expect(
    scrape
      .series("dms_task_transitions_total")
      .map(({ labels, value }) => [labels.task_name, labels.status, value]),
  ).toEqual(
    expect.arrayContaining([
      ["modifyAutoTopic", "EXECUTING", 1],
      ["bindInstancePublicIp", "EXECUTING", 1],
    ]),
  );
  expect(scrape.sum("dms_task_transitions_total")).toBe(2);
  expect(scrape.value("taskwatch_credentials_valid", { project: "prod" })).toBe(1);
  expect(scrape.sum("taskwatch_api_requests_total", { code: "401" })).toBe(0);

  const told = inbox.events.map(({ type, data }) => [data.instance?.name, data.task?.name, type]);
  expect(told.sort()).toEqual([
    [SHOWN.name, "bindInstancePublicIp", "task.started"],
    [SHOWN.name, "bindInstancePublicIp", "task.stuck"],
    [SEED.name, "modifyAutoTopic", "task.started"],
    [SEED.name, "modifyAutoTopic", "task.stuck"],
  ]);
  const stuck = await inbox.event("task.stuck", ({ data }) => data.instance?.name === SEED.name);
  expect(stuck.data.task).toEqual({
    id: "8abfa7b372160bfd0172165864064079",
    name: "modifyAutoTopic",
    status: "EXECUTING",
    user_name: "paas_dms",
    user_id: "3df5acbc24a54fadb62a043c9000a307",
    created_at: "2020-05-15T03:19:51.046Z",
    updated_at: "2020-05-15T03:19:51.065Z",
    params: null,
  });
  expect(inbox.bad).toEqual([]);
});

test.each([
  [
    "the other two tasks on its next page",
    [
      { id: "third", status: "SUCCESS" },
      { id: "fourth", status: "SUCCESS" },
    ],
  ],
  ["a count that is simply wrong, and nothing on its next page", []],
])("a server with %s has given its whole list", async (_, rest) => {
  await using all = await watch((instance, query) => {
    const body = bodyOf(instance);
    if (instance !== SEED.id || Number(query.get("start") ?? query.get("offset") ?? 1) < 2) return body;
    const rows = [...SEED.body.tasks, ...rest];
    return {
      task_count: "4",
      tasks: query.has("start") ? rows.slice(Number(query.get("start")) - 1) : SEED.body.tasks,
    };
  });
  const { app, inbox } = all;
  await polledTwice(app);
  expect((await app.scrape()).value("dms_instance_up", { instance_id: SEED.id })).toBe(1);
  await inbox.event("task.stuck", ({ data }) => data.instance?.name === SEED.name);
});

test("an open task that the list does not show any more is read by its id, in the documented answer's shape", async () => {
  let hidden = false;
  await using all = await watch((instance, _, task) => {
    const body = bodyOf(instance);
    if (instance !== SHOWN.id) return body;
    if (task === null) return hidden ? { task_count: "0", tasks: [] } : body;
    const [row] = SHOWN.body.tasks;
    return task === row?.id ? { task_count: "1", tasks: [{ ...row, status: "SUCCESS" }] } : undefined;
  });
  const { inbox } = all;
  await inbox.event("task.stuck", ({ data }) => data.instance?.name === SHOWN.name);
  hidden = true;
  const { data } = await inbox.event("task.succeeded");
  expect(data).toMatchObject({
    task: { id: SHOWN.body.tasks[0]?.id },
    previous_status: "EXECUTING",
    was_stuck: true,
  });
  await inbox.event("task.recovered", ({ data: { resolution } }) => resolution === "ended");
});

test("a wrong secret key is refused by a server that checks the signature, and nothing is told of tasks", async () => {
  await using inbox = await Inbox.start();
  await using cloud = await startCheckedCloud(KEY, (instance) => bodyOf(instance));
  await using app = await RunningApp.start({
    projects: [checkedProject(cloud, { ...KEY, secret_key: "another" }, [{ id: SEED.id }])],
    poll: { schedule: "* * * * * *" },
    store: { url: "sqlite::memory:" },
    webhooks: [webhookOf(inbox)],
    server: { listen: "127.0.0.1:0" },
  });
  const { data } = await inbox.event("project.unreachable");
  expect(data.cause).toBe("credentials_rejected");
  expect((await app.scrape()).sum("dms_tasks_open")).toBe(0);
  expect(inbox.ofType("task.started")).toEqual([]);
});
