import { expect, onTestFinished, test } from "vitest";
import { Gates } from "../../src/app/gates.ts";
import { Projects } from "../../src/app/projects.ts";
import { loadConfig } from "../../src/config/load.ts";
import { Discovery } from "../../src/poll/discovery.ts";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { memoryStore } from "../support/memory-store.ts";
import { ShiftedClock } from "../support/shifted-clock.ts";
import { projectOf, watchConfig } from "../support/watch-config.ts";

const INSTANCES = 7;

/** Replicas that discover one simulated project through one store. */
async function scene() {
  const clock = new ShiftedClock();
  const simulator = await startSimulator({ projects: [{ keys: [DEMO_KEY] }] });
  onTestFinished(() => simulator.close());
  simulator.control.addLoad({ instances: INSTANCES, tasks: 1, rate: 0 });
  const store = await memoryStore(clock);
  const raw = watchConfig(simulator, null, {
    projects: [projectOf(simulator, { instances: [], discover: {} })],
  });
  const loaded = await loadConfig({
    path: "taskwatch.yaml",
    env: {},
    readFile: async () => Buffer.from(JSON.stringify(raw)),
  });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const replica = async () => {
    const told: string[] = [];
    let watched = 0;
    const projects: Projects = new Projects({
      gates: new Gates(store, clock, () => {}),
      notes: store.notes,
      clock,
      emit: ({ kind }) => told.push(kind),
      env: {},
      onChange: () => {
        watched = projects.watched().targets.length;
      },
    });
    onTestFinished(() => projects.close());
    projects.apply(loaded.config);
    // Its id is configured, so that it is known as soon as the store answered.
    await expect.poll(() => projects.watched().projects.length).toBe(1);
    return { discover: () => projects.discover(() => true), told, watched: () => watched };
  };
  return { simulator, clock, replica };
}

test("replicas that list at the same time, as the one that hands over and its successor do, all watch what is found", async () => {
  const { replica } = await scene();
  const all = await Promise.all([replica(), replica(), replica()]);
  await Promise.all(all.map((each) => each.discover()));
  expect(all.map((each) => each.watched())).toEqual([INSTANCES, INSTANCES, INSTANCES]);
});

test("a first listing that failed is tried again soon, not only after the interval", async () => {
  const { simulator, replica, clock } = await scene();
  simulator.control.addFault({ kind: "empty", status: 500, operation: "list_instances", times: 1 });
  const one = await replica();
  await one.discover();
  expect(one.told).toContain("discovery.failed");
  clock.advance(25_000);
  await one.discover();
  expect(one.watched()).toBe(0);
  clock.advance(10_000);
  await one.discover();
  expect(one.watched()).toBe(INSTANCES);
});

test("a store that lost all is told again what was found", async () => {
  const clock = new ShiftedClock();
  let { notes } = await memoryStore(clock);
  let writes = 0;
  const discovery = new Discovery({
    projectId: "p",
    enterpriseProjectId: null,
    before: null,
    clock,
    notes: {
      read: (name) => notes.read(name),
      write(...note) {
        writes += 1;
        if (writes > 10) throw new Error("it writes and writes");
        return notes.write(...note);
      },
      list: (prefix) => notes.list(prefix),
      setAside: (...note) => notes.setAside(...note),
    },
  });
  const source = {
    instances: async () => [{ id: "i", name: "i", engine: "kafka", createdAt: null, status: "" } as const],
  };
  const list = () => discovery.list(source, ["kafka"], new AbortController().signal);
  await list();
  notes = (await memoryStore(clock)).notes;
  await list();
  expect((await notes.list("")).map(({ name }) => name)).toEqual(["discovered-with/p", "discovered/p"]);
});

test("the replica that polls removes what another one's list shows no more, and nothing that it shows again", async () => {
  const clock = new ShiftedClock();
  const { notes } = await memoryStore(clock);
  const replica = () =>
    new Discovery({ projectId: "p", enterpriseProjectId: null, before: null, clock, notes });
  const listed = (...ids: readonly string[]) => ({
    instances: async () =>
      ids.map((id) => ({ id, name: id, engine: "kafka", createdAt: null, status: "" }) as const),
  });
  const { signal } = new AbortController();
  const [lists, polls] = [replica(), replica()];
  await lists.list(listed("a", "b"), ["kafka"], signal);
  await polls.refresh();
  expect(await polls.forget("a")).toBe(false);
  await lists.list(listed("b"), ["kafka"], signal);
  await lists.list(listed("a", "b"), ["kafka"], signal);
  expect(await polls.forget("a")).toBe(false);
  // A list of another engine does not show it, and says nothing of it.
  await lists.list(listed(), ["rabbitmq"], signal);
  expect(await polls.forget("a")).toBe(false);
  await lists.list(listed("b"), ["kafka"], signal);
  expect(await polls.forget("a")).toBe(true);
  await lists.refresh();
  expect(lists.known?.instances.map(({ id }) => id)).toEqual(["b"]);
});
