import type { ServerResponse } from "node:http";
import { describe, expect, test, vi } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { Daemon, Folder, type Launcher } from "../support/daemon.ts";
import { freePort } from "../support/free-port.ts";
import { instancesOf, watchConfig, webhookOf } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

vi.setConfig({ testTimeout: 90_000 });

const CLEAN = { code: 0, signal: null };

/** A daemon that has polled all, with a poll of `billing` that gets no answer, and deliveries that wait for theirs. */
async function busy(stopTimeout: string, launcher?: Launcher) {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await Folder.create());
  const inbox = stack.use(await Inbox.start());
  const simulator = stack.use(
    await startSimulator({
      projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }, { name: "billing" }] }],
    }),
  );
  const path = await folder.write(
    "taskwatch.yaml",
    watchConfig(simulator, null, {
      store: { url: `sqlite:${folder.file("taskwatch.db")}` },
      webhooks: [webhookOf(inbox, { concurrency: 2, timeout: "1m" })],
      poll: { schedule: "* * * * * *", active_schedule: "off", timeout: "1m" },
      server: { listen: "127.0.0.1:0", stop_timeout: stopTimeout },
      log: { level: "debug" },
    }),
  );
  const daemon = stack.use(await Daemon.start(path, {}, launcher));
  for (const { name } of instancesOf(simulator))
    await daemon.log.until(({ msg, instance_name: of }) => msg === "polled" && of === name);

  const waiting: ServerResponse[] = [];
  inbox.answer = () => ({ by: (response) => void waiting.push(response) });
  const tasks = Array.from(
    { length: 5 },
    (_, n) =>
      simulator.control.createTask(
        { instance: "orders" },
        { name: `task-${n}`, runs_for: 0, ends: n % 2 ? "FAILED" : "SUCCESS" },
      ).task,
  );
  await inbox.until(() => inbox.letters.length === 2);
  simulator.control.addFault({ kind: "hang", instance: "billing" });
  await vi.waitFor(() => expect(simulator.control.faults()).toMatchObject([{ hits: 1 }]), 20_000);
  return {
    path,
    inbox,
    simulator,
    daemon,
    waiting,
    tasks,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

type Busy = Awaited<ReturnType<typeof busy>>;

async function saysThatItStops({ url }: Daemon): Promise<void> {
  await vi.waitFor(
    async () => {
      const ready = await fetch(`${url}/readyz`);
      expect([ready.status, await ready.json()]).toEqual([
        503,
        { status: "not ready", reasons: ["stopping"] },
      ]);
    },
    { timeout: 10_000, interval: 10 },
  );
}

/** After another start each task is told, under the ids that it had before. */
async function allIsTold({ path, inbox, simulator, tasks }: Busy, repeatedAtMost: number): Promise<void> {
  const before = [...inbox.letters];
  inbox.answer = () => 204;
  simulator.control.clearFaults();
  await using daemon = await Daemon.start(path);
  const told = () => new Set(inbox.letters.filter(({ answered }) => answered === 204).map(({ id }) => id));
  const wanted = () => new Set(inbox.letters.map(({ id }) => id));
  await inbox.until(
    () => inbox.letters.length >= before.length + tasks.length - 2 && wanted().size === tasks.length,
  );
  await daemon.log.until("polled");
  expect(new Set(inbox.letters.map(({ subject }) => subject))).toEqual(new Set(tasks));
  expect(wanted().size).toBe(tasks.length);
  const repeated = inbox.letters
    .slice(before.length)
    .filter(({ id }) => before.some((sent) => sent.id === id));
  expect(repeated.length).toBeLessThanOrEqual(repeatedAtMost);
  expect(told().size).toBeGreaterThanOrEqual(tasks.length - 2);
  daemon.kill("SIGINT");
  expect(await daemon.exited).toEqual(CLEAN);
  expect(inbox.bad).toEqual([]);
}

test("SIGTERM while polls and deliveries are in flight: not ready, deliveries end, nothing new begins, exit code 0", async () => {
  await using all = await busy("1m");
  const { daemon, inbox, simulator, waiting } = all;
  daemon.kill("SIGTERM");
  await saysThatItStops(daemon);
  expect((await fetch(`${daemon.url}/healthz`)).status).toBe(200);
  const listed = simulator.control.requests({ operation: "list_tasks" }).length;
  // Only the two that were under way; they may take as long as the stop's time.
  expect(waiting).toHaveLength(2);
  for (const response of waiting) response.writeHead(204).end();
  expect(await daemon.exited).toEqual(CLEAN);
  expect(inbox.letters).toHaveLength(2);
  expect(simulator.control.requests({ operation: "list_tasks" })).toHaveLength(listed);
  expect(daemon.stderr.text).toBe("");
  expect(daemon.log.lines.at(-1)?.msg).toBe("stopped");
  expect(
    daemon.log.lines.filter(({ level, msg }) => !["debug", "info"].includes(level) && msg !== "task failed"),
  ).toEqual([]);
  // What was answered is settled, and not sent again.
  await allIsTold(all, 0);
});

test("a receiver that never answers holds a stop up for stop_timeout at most, and gets the same events again", async () => {
  await using all = await busy("1s");
  const { daemon } = all;
  const began = performance.now();
  daemon.kill("SIGTERM");
  expect(await daemon.exited).toEqual(CLEAN);
  const took = performance.now() - began;
  expect(took).toBeGreaterThan(900);
  expect(took).toBeLessThan(10_000);
  await allIsTold(all, 2);
});

test("a second signal ends it at once, with exit code 1, and nothing is lost", async () => {
  await using all = await busy("1m");
  const { daemon } = all;
  const began = performance.now();
  daemon.kill("SIGTERM");
  await saysThatItStops(daemon);
  daemon.kill("SIGINT");
  expect(await daemon.exited).toEqual({ code: 1, signal: null });
  expect(performance.now() - began).toBeLessThan(15_000);
  await allIsTold(all, 2);
});

test("while it waits for its store a daemon answers, takes another configuration, and stops clean", async () => {
  await using folder = await Folder.create();
  await using simulator = await startSimulator({
    projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }] }],
  });
  const config = watchConfig(simulator, null, { store: { url: `redis://127.0.0.1:${await freePort()}` } });
  const path = await folder.write("taskwatch.yaml", config);
  await using daemon = new Daemon(path);
  await daemon.log.until("listening");
  const ready = await fetch(`${daemon.url}/readyz`);
  expect([ready.status, await ready.json()]).toEqual([
    503,
    { status: "not ready", reasons: ["the store has not answered yet"] },
  ]);
  expect((await fetch(`${daemon.url}/healthz`)).status).toBe(200);
  await daemon.log.until(({ component, level }) => component === "store" && level !== "info");
  expect((await daemon.scrape()).value("taskwatch_store_up")).toBe(0);

  await folder.write("taskwatch.yaml", { ...config, log: { level: "debug" } });
  daemon.kill("SIGHUP");
  await daemon.log.until("configuration reloaded");
  daemon.kill("SIGTERM");
  expect(await daemon.exited).toEqual(CLEAN);
  expect(daemon.stderr.text).toBe("");
  expect(simulator.control.requests()).toEqual([]);
});

describe("`npm start`", () => {
  test.each([
    ["Ctrl-C in its terminal, which npm passes on a second time", "SIGINT", (pid: number) => -pid],
    ["a service manager that signals npm alone", "SIGTERM", (pid: number) => pid],
  ] as const)("stops clean on %s", async (_, signal, whom) => {
    await using all = await busy("1m", "npm");
    const { daemon, waiting } = all;
    process.kill(whom(daemon.pid), signal);
    await saysThatItStops(daemon);
    for (const response of waiting) response.writeHead(204).end();
    await daemon.exited;
    expect(daemon.log.lines.at(-1)?.msg).toBe("stopped");
    await allIsTold(all, 0);
  });
});
