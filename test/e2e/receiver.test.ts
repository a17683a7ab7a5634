import { expect, test, vi } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { runCli } from "../support/cli.ts";
import { Folder } from "../support/daemon.ts";
import { freePort } from "../support/free-port.ts";
import { RunningApp } from "../support/running-app.ts";
import { ShiftedClock } from "../support/shifted-clock.ts";
import { watchConfig, webhookOf } from "../support/watch-config.ts";
import { INBOX_SECRET, Inbox } from "../support/webhook-receiver.ts";

vi.setConfig({ testTimeout: 90_000 });

const PROJECT = { keys: [DEMO_KEY], instances: [{ name: "orders" }] };

test("a receiver that is down, then fails, then asks for patience, loses nothing and is not hammered", async () => {
  const clock = new ShiftedClock();
  await using simulator = await startSimulator({ clock: () => clock.now(), projects: [PROJECT] });
  const port = await freePort();
  const webhook = {
    name: "ops",
    url: `http://127.0.0.1:${port}/hook/s3cr3t-path?token=s3cr3t-query`,
    secret: INBOX_SECRET,
    events: ["task.failed", "task.succeeded"],
    retry: { min: "200ms", max: "2s" },
  };
  await using app = await RunningApp.start(
    watchConfig(simulator, null, { webhooks: [webhook], store: { url: "sqlite::memory:", lease: "10m" } }),
    { clock },
  );
  await app.log.until("polled");
  const tasks = Array.from({ length: 20 }, (_, n) => {
    const ends = n % 2 === 0 ? "SUCCESS" : "FAILED";
    return simulator.control.createTask({ instance: "orders" }, { name: `task-${n}`, runs_for: 0, ends })
      .task;
  });
  await app.log.until("webhook is down: it is only probed");
  const refused = app.log.of("attempt").length;
  await app.log.until(() => app.log.of("attempt").length >= refused + 2);

  // It is up, and answers 500.
  await using inbox = await Inbox.start({ port });
  inbox.answer = () => 500;
  await inbox.until(() => inbox.letters.length === 3);
  // Then it asks for two minutes.
  inbox.answer = () => ({ status: 429, headers: { "retry-after": "120" } });
  await app.log.until(({ msg, status }) => msg === "attempt" && status === 429);
  inbox.answer = () => 204;
  const asked = inbox.letters.length;
  expect(asked).toBe(4);
  // The polls go on, and nothing is sent while the two minutes last.
  const from = app.log.lines.length;
  clock.advance(60_000);
  for (let polls = 0; polls < 3; polls++) await app.log.until("polled", app.log.lines.length);
  expect(app.log.lines.slice(from).filter(({ msg }) => msg === "attempt")).toEqual([]);
  clock.advance(60_000);
  await inbox.until(() => inbox.events.length === tasks.length);

  const told = new Map(inbox.events.map(({ data, type }) => [data.task?.id, type]));
  for (const [n, task] of tasks.entries())
    expect(told.get(task)).toBe(n % 2 === 0 ? "task.succeeded" : "task.failed");
  expect(inbox.letters).toHaveLength(asked + tasks.length);
  // The body is the same on every attempt.
  const bodies = Map.groupBy(inbox.letters, ({ id }) => id);
  for (const letters of bodies.values()) expect(new Set(letters.map(({ body }) => body)).size).toBe(1);
  const scrape = await app.scrape();
  expect(scrape.value("taskwatch_webhook_delivered_total", { webhook: "ops" })).toBe(tasks.length);
  expect(scrape.value("taskwatch_webhook_dead_letters_total", { webhook: "ops" })).toBe(0);
  expect(scrape.sum("taskwatch_webhook_attempts_total")).toBeLessThan(tasks.length + 25);
  for (const reason of ["network", "server_error", "throttled"])
    expect(
      scrape.value("taskwatch_webhook_failures_total", { webhook: "ops", reason }),
      reason,
    ).toBeGreaterThan(0);
  expect(app.log.of("webhook works again")).toHaveLength(1);
  expect(inbox.bad).toEqual([]);
});

test("what is refused for good is a dead letter, told on another webhook all the same, and delivered by a replay", async () => {
  await using folder = await Folder.create();
  await using simulator = await startSimulator({ projects: [PROJECT] });
  await using strict = await Inbox.start();
  await using other = await Inbox.start();
  strict.answer = () => 400;
  const config = watchConfig(simulator, null, {
    store: { url: `sqlite:${folder.file("taskwatch.db")}` },
    webhooks: [webhookOf(strict, { name: "strict" }), webhookOf(other, { name: "other" })],
  });
  const path = await folder.write("taskwatch.yaml", config);
  await using app = await RunningApp.start(config);
  await app.log.until("polled");
  const { task } = simulator.control.createTask({ instance: "orders" }, { status: "EXECUTING" });
  await strict.until(() => strict.letters.length === 1);
  simulator.control.updateTask({ instance: "orders" }, task, { status: "FAILED" });
  await other.event("task.failed");
  await strict.until(() => strict.letters.length === 2);
  await app.log.until(() => app.log.of("given up: now a dead letter").length === 2);
  // Each was tried once.
  expect(strict.letters.map(({ type }) => type)).toEqual(["task.started", "task.failed"]);
  await expect
    .poll(async () => (await app.scrape()).value("taskwatch_dead_letters", { webhook: "strict" }), {
      timeout: 20_000,
    })
    .toBe(2);

  strict.answer = () => 204;
  const listed = await runCli(["dead-letters", "list", "--config", path]);
  for (const { id } of strict.letters) expect(listed.stdout).toContain(id);
  const replayed = await runCli(["dead-letters", "replay", "--config", path]);
  expect(replayed).toMatchObject({ code: 0, stderr: "" });
  await strict.until(() => strict.events.length === 2);
  expect(strict.events.map(({ type, data }) => [type, data.sequence])).toEqual([
    ["task.started", 1],
    ["task.failed", 2],
  ]);
  const [first, second, third, fourth] = strict.letters;
  expect([third?.body, fourth?.body]).toEqual([first?.body, second?.body]);
  await expect
    .poll(async () => (await app.scrape()).value("taskwatch_dead_letters", { webhook: "strict" }), {
      timeout: 20_000,
    })
    .toBe(0);
  expect(other.letters).toHaveLength(2);
});
