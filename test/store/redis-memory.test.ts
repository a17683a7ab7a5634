import { createHash } from "node:crypto";
import type { Redis } from "ioredis";
import { expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import type { Store } from "../../src/ports/store.ts";
import { openStore } from "../../src/store/open.ts";
import { RedisServer } from "../support/redis.ts";
import { batch, event, leaseOf, record, T0, task } from "./contract/back-end.ts";

vi.setConfig({ testTimeout: 120_000 });

const SHARDS = 16;
const INSTANCES = 10_000;
const AT_ONCE = 500;
const PROJECT = "0605768a3300d5762fd0c002e2bbd3f9";
const NAMES = ["modifyAutoTopic", "changeRetentionPolicy", "bindInstancePublicIp", "kafkaConfigModify"];

const idOf = (text: string): string => createHash("md5").update(text).digest("hex");
const uuidOf = (text: string): string =>
  idOf(text).replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");

async function memory(client: Redis): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await client.info("memory"))?.[1]);
}

/** One commit for each of the instances, many at a time. */
async function fill(store: Store, make: (n: number) => Parameters<typeof batch>[0]): Promise<void> {
  const leases = await Promise.all(Array.from({ length: SHARDS }, (_, shard) => leaseOf(store, shard)));
  for (let from = 0; from < INSTANCES; from += AT_ONCE) {
    const results = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, index) => {
        const n = from + index;
        const shard = n % SHARDS;
        return store.state.commit(leases[shard]!, { ...batch(make(n)), shard });
      }),
    );
    for (const result of results) expect(result.kind).toBe("ok");
  }
}

/** docs/redis.md states these figures. */
test("what an idle instance, a finished task and a delivered event take in Redis", async () => {
  const server = await RedisServer.start();
  onTestFinished(() => server[Symbol.asyncDispose]());
  const store = await openStore(
    { url: server.url, keyPrefix: "taskwatch", shards: SHARDS },
    { exclusive: true, clock: systemClock },
  );
  onTestFinished(() => store.close());
  const client = server.client();
  onTestFinished(() => client.disconnect());
  const instance = (n: number) => uuidOf(`instance ${n}`);
  const recordOf = (n: number) =>
    record({
      projectId: PROJECT,
      instanceId: instance(n),
      name: `orders-${String(n).padStart(5, "0")}`,
      discovered: true,
      baselineAt: T0,
      lastCompleteAt: T0,
      lastSweepAt: T0,
      ended: NAMES.map((name, index) => ({ name, successAt: T0 - index * 1_000, failureAt: null })),
    });
  const key = (n: number) => `${PROJECT}/${instance(n)}`;
  const tasksOf = (n: number, from: number, count: number) =>
    Array.from({ length: count }, (_, index) =>
      task(idOf(`task ${n} ${from + index}`), {
        name: NAMES[index % NAMES.length]!,
        userName: "paas_dms",
        userId: "3df5acbc24a54fadb62a043c9000a307",
        createdAt: T0 - 60_000,
        updatedAt: T0 - 30_000,
        sequence: 0,
      }),
    );
  const perInstance = async (make: (n: number) => Parameters<typeof batch>[0]): Promise<number> => {
    const before = await memory(client);
    await fill(store, make);
    return Math.round((await memory(client)) / INSTANCES - before / INSTANCES);
  };
  const idle = await perInstance((n) => ({ key: key(n), record: recordOf(n), events: [], upserts: [] }));
  const tasks = await perInstance((n) => ({
    key: key(n),
    expectRevision: 1,
    record: recordOf(n),
    events: [],
    upserts: tasksOf(n, 0, 8),
  }));
  const body = JSON.stringify({ id: "evt_", data: "x".repeat(1_000) });
  const pending = await perInstance((n) => ({
    key: key(n),
    expectRevision: 2,
    record: recordOf(n),
    upserts: [],
    events: [
      { ...event(`evt_${idOf(`event ${n}`)}`, { taskId: idOf(`task ${n} 0`), lane: `lane ${n}` }), body },
    ],
  }));
  console.log(
    `an idle instance ${idle} bytes, each finished task ${Math.round(tasks / 8)} more, each event of a ${body.length} byte body that waits for its delivery ${pending} more`,
  );
  expect(idle).toBeLessThan(1_200);
  expect(tasks / 8).toBeLessThan(400);
  expect(pending).toBeLessThan(3_000);
});
