import { expect, test } from "vitest";
import { learnNames } from "../../src/core/names.ts";
import type { Shard } from "../../src/poll/shard.ts";
import { type ShardNameKnowledge, TaskNameStatistics } from "../../src/poll/task-name-statistics.ts";
import { HOUR, rulesOf, T0 } from "../core/support.ts";

const { learn } = rulesOf().stuck;

/** What a shard learned from so many runs of ten minutes. */
const known = (runs: number) =>
  learnNames(
    new Map(),
    "p1",
    Array.from({ length: runs }, (_, n) => ({
      name: "a",
      executed: true,
      seconds: 600,
      at: T0 + n * HOUR,
      seenAt: T0,
    })),
  );

const ofShard = (shard: number, runs: number): ShardNameKnowledge[] =>
  known(runs).map((each) => ({ ...each, shard }));

/** As far as knowledge looks at a shard. */
const shardOf = (number: number, runs: number) =>
  ({
    number,
    namesVersion: 1,
    names: () => new Map(known(runs).map((each) => [each.name, each])),
  }) as unknown as Shard;

test("a replica judges by what all shards know, and counts its own once", () => {
  let owned = [shardOf(0, 12)];
  const knowledges = new TaskNameStatistics(() => owned);
  expect(knowledges.of("p1", learn).learned("a")).toBeNull();
  knowledges.setOthers([...ofShard(0, 11), ...ofShard(1, 30)]);
  expect(knowledges.of("p1", learn).learned("a")?.threshold.samples).toBe(42);
  owned = [shardOf(0, 12), shardOf(1, 31)];
  expect(knowledges.of("p1", learn).learned("a")?.threshold.samples).toBe(43);
  owned = [];
  expect(knowledges.of("p1", learn).learned("a")?.threshold.samples).toBe(41);
  expect(knowledges.of("p2", learn).learned("a")).toBeNull();
});

test("what did not change is not read anew", () => {
  const owned = [shardOf(0, 30)];
  const knowledges = new TaskNameStatistics(() => owned);
  const first = knowledges.of("p1", learn);
  knowledges.setOthers([]);
  expect(knowledges.of("p1", learn)).toBe(first);
});
