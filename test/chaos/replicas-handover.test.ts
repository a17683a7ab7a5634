import { expect, test, vi } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import { DEMO_KEY } from "../../src/simulator/server.ts";
import { House, type Replica, SHARDS } from "../support/replicas.ts";

vi.setConfig({ testTimeout: 120_000 });

const INSTANCES = 40;
const LEASE_MS = 10_000;
const HANDOVERS = 5;
const LOOK_MS = 10;

const shares = (replicas: readonly Replica[]): Promise<number[]> =>
  Promise.all(
    replicas.map(async ({ daemon }) => (await daemon.scrape()).value("taskwatch_shards_owned") ?? 0),
  );

test("a rolling update hands each shard over in under a second, long before its lease would run out", async () => {
  await using house = await House.open({
    simulator: {
      projects: [
        {
          keys: [DEMO_KEY],
          instances: Array.from({ length: INSTANCES }, (_, n) => ({ name: `queue-${n}` })),
        },
      ],
    },
    lease: `${LEASE_MS}ms`,
  });
  const replicas = await house.start(2);
  const client = house.redis.client();
  const owners = async () => {
    const all = await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) => client.hget(`{taskwatch:${shard}}:meta`, "owner")),
    );
    return all.map((owner) => owner ?? "");
  };
  const longest: number[] = [];
  for (let turn = 0; turn < HANDOVERS; turn++) {
    await vi.waitFor(async () => expect(await shares(replicas)).toEqual([SHARDS / 2, SHARDS / 2]), {
      timeout: 30_000,
      interval: 100,
    });
    const before = await owners();
    const [old] = replicas.splice(0, 1);
    old?.daemon.kill("SIGTERM");
    // How long nobody had each shard, as Redis saw it.
    const free = new Map<number, number>();
    let longestFree = 0;
    let taken = 0;
    for (let now = before; taken < SHARDS / 2; now = await owners()) {
      const at = systemClock.monotonic();
      taken = 0;
      for (const [shard, owner] of now.entries()) {
        if (owner === "") free.set(shard, free.get(shard) ?? at);
        else if (free.has(shard)) {
          longestFree = Math.max(longestFree, at - (free.get(shard) ?? at));
          free.delete(shard);
        }
        if (owner !== "" && owner !== before[shard]) taken += 1;
      }
      await systemClock.sleep(LOOK_MS);
    }
    longest.push(Math.round(longestFree));
    expect(await old?.daemon.exited).toEqual({ code: 0, signal: null });
    const next = await house.launch();
    await next.daemon.ready();
    replicas.push(next);
  }
  client.disconnect();
  console.log(
    `the longest that a shard was nobody's, in each of ${HANDOVERS} handovers: ${longest.join(", ")} ms`,
  );
  // One of them may meet a busy moment of the machine.
  expect(longest.sort((a, b) => a - b)[HANDOVERS - 2]).toBeLessThan(1_000);
});
