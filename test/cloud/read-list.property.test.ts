import fc from "fast-check";
import { expect, test } from "vitest";
import { ListMemory } from "../../src/cloud/list-memory.ts";
import type { Dialect } from "../../src/cloud/paging.ts";
import { type ListResult, readList } from "../../src/cloud/read-list.ts";
import { type ModelRules, ModelServer, type ModelTask, NOW } from "./model-server.ts";

const PAGINGS = ["start1", "start0", "offset0", "offset1", "none"] as const;

const rules: fc.Arbitrary<ModelRules> = fc
  .record({
    paging: fc.constantFrom(...PAGINGS),
    cap: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 12 })),
    refuseAbove: fc.constantFrom(null, null, 5),
    total: fc.constantFrom("right", "absent", "everything", "page", "zero"),
    order: fc.constantFrom("newest", "oldest"),
    end: fc.constantFrom("inclusive", "exclusive", "exact"),
    strict: fc.boolean(),
  })
  // One row alone says that there are more only by its count.
  .map((kind) => (kind.cap === 1 ? { ...kind, total: "right" } : kind));

/** After the n-th page: tasks that appear, and places in the list (as a fraction) whose tasks go. */
const change = fc.record({
  add: fc.array(fc.record({ age: fc.integer({ min: 0, max: 600 }) }), { maxLength: 3 }),
  remove: fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 3 }),
});

const scene = fc.record({
  rules,
  /** Ages in tenths of a second: some share a second. */
  ages: fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 60 }),
  changes: fc.array(change, { maxLength: 12 }),
  polls: fc.integer({ min: 1, max: 3 }),
});

const LIMITS = [10, 5] as const;
const MAX_CALLS = 400;

test("a complete list has every task that was there throughout, on any server, whatever comes and goes meanwhile", async () => {
  await fc.assert(
    fc.asyncProperty(scene, async ({ rules: kind, ages, changes, polls }) => {
      let serial = 0;
      const make = (age: number): ModelTask => ({ id: `t${serial++}`, createdAt: NOW - 60_000 - age * 100 });
      const server = new ModelServer(kind, ages.map(make));
      const memory = new ListMemory();
      let dialect: Dialect | null = null;
      let left = changes;
      for (let poll = 0; poll < polls; poll++) {
        let throughout = new Set(server.tasks.map(({ id }) => id));
        server.calls = 0;
        server.afterPage = () => {
          const [next, ...rest] = left;
          left = rest;
          for (const { age } of next?.add ?? []) server.tasks.push(make(age));
          for (const place of next?.remove ?? []) {
            const [gone] = server.tasks.splice(Math.floor(place * server.tasks.length), 1);
            if (gone) throughout = new Set([...throughout].filter((id) => id !== gone.id));
          }
        };
        const result: ListResult<ModelTask> = await readList({
          list: "i",
          fetch: server.fetch,
          from: NOW - 3_600_000,
          to: null,
          merge: (a) => a,
          limits: LIMITS,
          names: ["offset", "start"],
          dialect: {
            read: () => dialect,
            learned: (learned) => {
              dialect = learned;
            },
          },
          memory,
          maxCalls: MAX_CALLS,
        });
        expect(server.calls).toBeLessThanOrEqual(MAX_CALLS);
        const ids = result.items.map(({ id }) => id);
        expect(new Set(ids).size).toBe(ids.length);
        if (result.gap === null) {
          const missed = [...throughout].filter((id) => !ids.includes(id));
          expect(missed, JSON.stringify({ kind, dialect })).toEqual([]);
        }
      }
    }),
    { numRuns: 1500 },
  );
});

test("a list that stands still is read whole on any server whose seconds fit a page", async () => {
  await fc.assert(
    fc.asyncProperty(
      rules,
      fc.uniqueArray(fc.integer({ min: 0, max: 500 }), { maxLength: 60 }),
      async (kind, ages) => {
        // Distinct seconds: at most one task in each, so that every span can be split down to a page.
        const server = new ModelServer(
          kind,
          ages.map((age) => ({ id: `t${age}`, createdAt: NOW - 60_000 - age * 2000 })),
        );
        let dialect: Dialect | null = null;
        const result = await readList({
          list: "i",
          fetch: server.fetch,
          from: NOW - 3_600_000,
          to: null,
          merge: (a) => a,
          limits: LIMITS,
          names: ["offset", "start"],
          dialect: {
            read: () => dialect,
            learned: (learned) => {
              dialect = learned;
            },
          },
          memory: new ListMemory(),
          maxCalls: MAX_CALLS,
        });
        expect(result.gap, JSON.stringify(kind)).toBeNull();
        expect(result.items.length).toBe(ages.length);
      },
    ),
    { numRuns: 1000 },
  );
});
