import fc from "fast-check";
import { expect, test } from "vitest";
import { PollSlots, type ProjectSlots, type ReleaseSlot } from "../../src/poll/poll-slots.ts";

const never = new AbortController().signal;

/** Takes slots until none is given at once. */
async function takeAll(project: ProjectSlots): Promise<ReleaseSlot[]> {
  const taken: ReleaseSlot[] = [];
  for (;;) {
    const abort = new AbortController();
    const slot = project.acquire(abort.signal).catch(() => null);
    abort.abort(new Error("no slot at once"));
    const release = await slot;
    if (release === null) return taken;
    taken.push(release);
  }
}

/** A project that answered its first poll. */
async function answering(slots: PollSlots): Promise<ProjectSlots> {
  const project = slots.add();
  (await project.acquire(never))(true);
  return project;
}

/** A project that answered once, and whose last polls all timed out. */
async function silent(slots: PollSlots): Promise<ProjectSlots> {
  const project = await answering(slots);
  for (let polls = 0; polls < 3; polls++) (await project.acquire(never))(false);
  return project;
}

test("a project that is alone may use every slot", async () => {
  const slots = new PollSlots(8);
  expect(await takeAll(await answering(slots))).toHaveLength(8);
});

test("beyond its fair share a project leaves one slot to each project that holds none", async () => {
  const slots = new PollSlots(8);
  const busy = await answering(slots);
  const idle = [await answering(slots), await answering(slots), await answering(slots)];
  expect(await takeAll(busy)).toHaveLength(5);
  for (const project of idle) await project.acquire(never);
});

test("of the projects that wait, the one that holds the fewest slots comes first", async () => {
  const slots = new PollSlots(4);
  const [many, few] = [await answering(slots), await answering(slots)];
  const [first] = await takeAll(many);
  await takeAll(few);
  expect([many.held, few.held]).toEqual([3, 1]);
  void many.acquire(never);
  const next = few.acquire(never);
  first?.(true);
  await next;
  expect([many.held, few.held]).toEqual([2, 2]);
  expect(many.waiting).toBe(true);
});

test("a project whose polls only time out is probed by two at once, until one is answered", async () => {
  const slots = new PollSlots(64);
  const project = await silent(slots);
  const probes = await takeAll(project);
  expect(probes).toHaveLength(2);
  probes[0]?.(false);
  expect(await takeAll(project)).toHaveLength(1);
  probes[1]?.(true);
  expect((await takeAll(project)).length).toBeGreaterThan(60);
});

test("a new project is probed by two polls at once, until one is answered", async () => {
  const slots = new PollSlots(64);
  const project = slots.add();
  const [first] = await takeAll(project);
  expect(project.held).toBe(2);
  first?.(true);
  expect((await takeAll(project)).length).toBeGreaterThan(60);
});

test("silent projects hold at most half of the slots together", async () => {
  const slots = new PollSlots(8);
  const silents = await Promise.all(Array.from({ length: 6 }, () => silent(slots)));
  const answers = await answering(slots);
  const held = await Promise.all(silents.map(takeAll));
  expect(held.flat()).toHaveLength(4);
  expect(await takeAll(answers)).toHaveLength(4);
});

test("a caller whose signal is aborted stops waiting, and its slot goes to another project", async () => {
  const slots = new PollSlots(1);
  const [one, other] = [slots.add(), slots.add()];
  const release = await one.acquire(never);
  const abort = new AbortController();
  const gone = other.acquire(abort.signal);
  abort.abort(new Error("gone"));
  await expect(gone).rejects.toThrow("gone");
  const next = one.acquire(never);
  release(true);
  await next;
  expect(one.held).toBe(1);
});

test("whatever happens, no slot is lost or given twice, and none stays free while a project may start", async () => {
  const step = fc.record({
    project: fc.nat(4),
    action: fc.constantFrom("acquire", "answered", "timeout", "limit", "remove"),
    size: fc.integer({ min: 1, max: 9 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      let limit = 6;
      const slots = new PollSlots(limit);
      const projects = Array.from({ length: 5 }, () => ({
        slots: slots.add(),
        held: [] as ReleaseSlot[],
        removed: false,
      }));
      for (const { project, action, size } of steps) {
        const one = projects[project]!;
        const before = projects.reduce((sum, { held }) => sum + held.length, 0);
        if (action === "acquire" && !one.slots.waiting && !one.removed)
          void one.slots.acquire(never).then((release) => one.held.push(release));
        if (action === "answered" || action === "timeout") one.held.pop()?.(action === "answered");
        if (action === "limit") {
          limit = size;
          slots.setLimit(limit);
        }
        if (action === "remove" && !one.slots.waiting && project > 0) {
          slots.remove(one.slots);
          one.removed = true;
        }
        await new Promise(setImmediate);
        const held = projects.reduce((sum, { held }) => sum + held.length, 0);
        expect(held).toBe(projects.reduce((sum, each) => sum + each.slots.held, 0));
        expect(held).toBeLessThanOrEqual(Math.max(limit, before));
        for (const each of projects) if (each.slots.waiting) expect(slots.mayStart(each.slots)).toBe(false);
      }
    }),
  );
});
