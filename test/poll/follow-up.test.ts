import { expect, test } from "vitest";
import { CloudError } from "../../src/errors.ts";
import { pollOnce } from "../../src/poll/cycle.ts";
import { Shard } from "../../src/poll/shard.ts";
import type { InstanceTarget } from "../../src/poll/target.ts";
import type { TaskSource } from "../../src/ports/task-source.ts";
import { rulesOf, seen, wholeListing } from "../core/support.ts";
import { leaseOf } from "../store/contract/back-end.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { memoryStore } from "../support/memory-store.ts";

const unasked = () => Promise.reject(new Error("nobody asked for this"));

test.each([1, 4])(
  "%i open tasks that cannot be read by their id do not hide what became of the others",
  async (odd) => {
    const clock = new ManualClock();
    const store = await memoryStore(clock, 4);
    const shard = await Shard.open(store.state, await leaseOf(store), Number.POSITIVE_INFINITY);
    const rules = rulesOf();
    const ids = [...Array.from({ length: odd }, (_, n) => `a-odd-${n}`), "b", "c"];
    let listed = ids;
    const source: TaskSource = {
      cloudOffset: 0,
      list: async (_, window) => {
        const tasks = listed.map((id) => seen(id, "EXECUTING"));
        return wholeListing(tasks, window, clock.now());
      },
      show: async (_, id) => {
        if (!id.startsWith("a-odd")) return { kind: "found", task: seen(id, "FAILED") };
        throw new CloudError("bad_response", "Invalid task ID format", { status: 400, code: "DMS.00400070" });
      },
      progress: unasked,
      instances: unasked,
      scheduled: unasked,
    };
    const target = {
      key: "p1/i1",
      project: rules.project,
      instanceId: "i1",
      source,
      shard: shard.number,
      rules,
      discovered: false,
      bornWatched: false,
    } as unknown as InstanceTarget;
    const knowledge = { executed: () => false, learned: () => null };
    const poll = () => pollOnce(target, shard, knowledge, clock, false, new AbortController().signal);
    await poll();
    // Older than the window by now.
    listed = [];
    const told: string[] = [];
    for (let minute = 0; minute < 10; minute++) {
      await clock.advance(60_000);
      const { decision, asked } = await poll();
      expect(asked.failures.length).toBeLessThanOrEqual(3);
      for (const { type, data } of decision?.events ?? []) told.push(`${type} ${data.task?.id}`);
    }
    expect(told.filter((each) => each.startsWith("task.failed")).sort()).toEqual([
      "task.failed b",
      "task.failed c",
    ]);
  },
);
