import { expect, onTestFinished, test } from "vitest";
import { ask } from "../support/api-client.ts";
import { RedisServer } from "../support/redis.ts";
import { polledAgain, sceneOf, shows } from "./scene.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Every replica shows what was acknowledged within this time. */
const SEEN_MS = 5_000;

test("a command acknowledges one and many on Redis, beside replicas that all show it within five seconds", async () => {
  const redis = await RedisServer.start();
  onTestFinished(() => redis[Symbol.asyncDispose]());
  const { command, create, inbox, start } = await sceneOf({
    store: { url: redis.url },
    window: { first_poll: "emit" },
  });
  const zombie = create({ name: "resize", created_ago: "3h", runs_for: "forever" });
  const failures = ["orders", "billing", "billing"].map((instance) =>
    create({ name: "restart", created_ago: "1h", runs_for: "1m", ends: "FAILED" }, instance),
  );
  const replicas = [await start(), await start()];
  const gauge = async (name: string) => {
    const scrapes = await Promise.all(replicas.map((app) => app.scrape()));
    return scrapes.reduce((sum, scrape) => sum + scrape.sum(name), 0);
  };
  const seen = (name: string, value: number) =>
    expect.poll(() => gauge(name), { timeout: SEEN_MS, interval: 50 }).toBe(value);
  await expect.poll(() => gauge("dms_task_failures_open"), { timeout: 30_000 }).toBe(3);
  await expect.poll(() => gauge("dms_tasks_stuck"), { timeout: 30_000 }).toBe(1);

  const by = ["--by", "alice", "--reason", "the cloud never closes it"];
  expect((await command("ack", zombie, ...by)).stdout).toBe(`acknowledged resize ${zombie} on orders\n`);
  await seen("dms_tasks_stuck", 0);
  expect((await command("ack", "--all", "--instance", "*", "--task", "restart", ...by)).code).toBe(0);
  await seen("dms_task_failures_open", 0);

  for (const id of [zombie, ...failures]) {
    const acknowledged = { by: "alice", reason: "the cloud never closes it", at: expect.any(String) };
    for (const { url } of replicas) {
      expect((await ask(url, `/api/v1/tasks/${id}`)).body).toMatchObject({ acknowledged });
    }
    const recovered = await inbox.event("task.recovered", ({ data }) => data.task?.id === id);
    expect(recovered.data).toMatchObject({ resolution: "acknowledged", resolved_by: { user: "alice" } });
    expect((await command("explain", id)).stdout).toMatch(
      /acknowledged by alice at \S+Z \(the cloud never closes it\)/,
    );
  }
  const listed = await command("tasks", "--json");
  expect(listed.code).toBe(0);
  expect(JSON.parse(listed.stdout).tasks).toMatchObject([
    { task: { id: zombie }, verdict: null, acknowledged: { by: "alice" } },
  ]);
});

test("an open failure expires after keep_open with its event; one that was acknowledged has ended already", async () => {
  const { clock, command, create, inbox, start } = await sceneOf({ failures: { keep_open: "1h" } });
  const app = await start();
  await polledAgain(app);
  const fail = async (name: string) => {
    const id = create({ name, runs_for: "1s", ends: "FAILED" });
    clock.advance(2_000);
    await inbox.event("task.failed", ({ data }) => data.task?.id === id);
    return id;
  };
  const told = (id: string) => inbox.ofTask(id).map(({ type }) => type);
  const kept = await fail("kept");
  const acknowledged = await fail("acknowledged");
  await shows(app, "dms_task_failures_open", { task_name: "kept" }, 1);
  expect((await command("ack", acknowledged)).code).toBe(0);
  await inbox.event("task.recovered", ({ data }) => data.resolution === "acknowledged");
  for (let passed = 0; passed < HOUR - 10 * MINUTE; passed += 5 * MINUTE) {
    clock.advance(5 * MINUTE);
    await polledAgain(app);
  }
  expect(told(kept)).toEqual(["task.failed"]);
  expect((await command("tasks")).code).toBe(3);
  clock.advance(9 * MINUTE);
  await polledAgain(app);
  clock.advance(2 * MINUTE);
  const expired = await inbox.event("task.recovered", ({ data }) => data.task?.id === kept);
  expect(expired.data).toMatchObject({
    recovered_from: "failure",
    resolution: "expired",
    resolved_by: null,
    sequence: 2,
  });
  await shows(app, "dms_task_failures_open", { task_name: "kept" }, 0);
  expect((await command("tasks")).code).toBe(0);
  expect((await command("explain", kept)).stdout).toMatch(/task\.recovered +open for 1h .*, kept for 1h/);
  await polledAgain(app);
  expect(told(acknowledged)).toEqual(["task.failed", "task.recovered"]);
  expect(told(kept)).toEqual(["task.failed", "task.recovered"]);
});
