import { Redis } from "ioredis";
import { expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import type { Store } from "../../src/ports/store.ts";
import { openStore } from "../../src/store/open.ts";
import { TcpProxy } from "../support/proxy.ts";
import { freePorts, RedisServer, startCluster } from "../support/redis.ts";
import { batch, event, task } from "./contract/back-end.ts";

vi.setConfig({ testTimeout: 60_000 });

const SHARDS = 16;
const LAST_SLOT = 16_383;

async function opened(url: string, shards = SHARDS): Promise<Store> {
  const store = await openStore({ url, keyPrefix: "t", shards }, { exclusive: true, clock: systemClock });
  onTestFinished(() => store.close());
  return store;
}

async function slotOf(port: number, key: string): Promise<number> {
  const client = new Redis({ port });
  const slot = Number(await client.call("CLUSTER", "KEYSLOT", key));
  client.disconnect();
  return slot;
}

/** Which of three servers with equal parts has it. */
const nodeOf = (slot: number) => Math.floor(slot / Math.ceil((LAST_SLOT + 1) / 3));

test("one master that is away costs the leases of its own shards alone", async () => {
  const cluster = await startCluster();
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  for (const server of cluster.servers) {
    const client = server.client();
    await client.config("SET", "cluster-require-full-coverage", "no");
    client.disconnect();
  }
  const store = await opened(cluster.url);
  const all = Array.from({ length: SHARDS }, (_, shard) => shard);
  const leases = await Promise.all(
    all.map(async (shard) => (await store.leases.acquire(shard, "a", 60_000))!),
  );
  const port = cluster.servers[0]?.port ?? 0;
  const homes = await Promise.all(all.map(async (shard) => nodeOf(await slotOf(port, `{t:${shard}}:meta`))));
  const victim = homes[0] ?? 0;
  await cluster.servers[victim]?.kill();
  await expect
    .poll(
      async () => {
        const renewed = await store.leases.renew(leases, 60_000);
        return renewed.map((answer) => answer && "lease" in answer && answer.lease.shard);
      },
      { timeout: 20_000 },
    )
    .toEqual(all.map((shard) => (homes[shard] === victim ? null : shard)));
  expect(await store.leases.free("a")).toEqual(all.filter((shard) => homes[shard] !== victim));
});

test("a password that changed while the cluster is open is used for the next connections", async () => {
  const cluster = await startCluster();
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  const settings = { url: cluster.url, keyPrefix: "t", shards: SHARDS };
  let password: string | null = null;
  const current = () => ({ ...settings, password });
  const store = await openStore(settings, { exclusive: true, clock: systemClock, current });
  onTestFinished(() => store.close());
  for (const server of cluster.servers) {
    const admin = server.client();
    await admin.config("SET", "requirepass", "new");
    await admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    admin.disconnect();
  }
  const free = () => store.leases.free("a").then((shards) => shards.length, String);
  await expect.poll(free, { timeout: 20_000 }).toMatch(/password|Redis/);
  password = "new";
  await expect.poll(free, { timeout: 20_000 }).toBe(SHARDS);
});

test("a claim whose answer is lost is not made again behind the caller's back: all comes in time", async () => {
  const ports = await freePorts(3);
  const proxies = await Promise.all(ports.map((port) => TcpProxy.start(port)));
  const servers = await Promise.all(
    ports.map((port, index) => {
      const announced = ["--cluster-announce-ip", "127.0.0.1"];
      announced.push("--cluster-announce-port", String(proxies[index]?.port));
      announced.push("--cluster-announce-bus-port", String(port + 10_000));
      const args = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", ...announced];
      return RedisServer.start(args, port);
    }),
  );
  for (const each of [...proxies, ...servers]) onTestFinished(() => each[Symbol.asyncDispose]());
  const clients = servers.map((server) => server.client());
  const share = Math.ceil((LAST_SLOT + 1) / 3);
  for (const [index, client] of clients.entries()) {
    const last = Math.min(LAST_SLOT, (index + 1) * share - 1);
    await client.call("CLUSTER", "ADDSLOTSRANGE", String(index * share), String(last));
    await client.call("CLUSTER", "MEET", "127.0.0.1", String(ports[0]), String((ports[0] ?? 0) + 10_000));
  }
  for (const client of clients) {
    await expect
      .poll(async () => String(await client.call("CLUSTER", "INFO")), { timeout: 20_000 })
      .toMatch(/cluster_state:ok[\s\S]*cluster_known_nodes:3/);
    client.disconnect();
  }
  const store = await opened(
    `redis+cluster://${proxies.map(({ port }) => `127.0.0.1:${port}`).join(",")}`,
    1,
  );
  const lease = (await store.leases.acquire(0, "me", 60_000))!;
  const lanes = ["one", "two", "three", "four"];
  const events = lanes.map((lane) => event(`evt_${lane}`, { lane, webhooks: ["ops"] }));
  await store.state.commit(lease, batch({ shard: 0, events }));
  // The script is known to the server.
  await store.outbox.claim(lease, "none", 1, Date.now());

  const proxy = proxies[nodeOf(await slotOf(ports[0] ?? 0, "{t:0}:meta"))];
  proxy?.swallowAnswers();
  const claim = (limit: number) => store.outbox.claim(lease, "ops", limit, Date.now()).catch(() => null);
  const claiming = claim(2);
  await systemClock.sleep(100);
  proxy?.restore();
  const got = new Set<string>();
  const take = (claimed: Awaited<ReturnType<typeof claim>>) => {
    if (claimed !== null && claimed !== "fenced")
      for (const { eventId } of claimed.deliveries) got.add(eventId);
  };
  take(await claiming);
  await expect
    .poll(
      async () => {
        take(await claim(10));
        return [...got].sort();
      },
      { timeout: 20_000, interval: 200 },
    )
    .toEqual(lanes.map((lane) => `evt_${lane}`).sort());
});

test("a commit of as many tasks and events as a list can hold is taken", async () => {
  const server = await RedisServer.start();
  onTestFinished(() => server[Symbol.asyncDispose]());
  const store = await opened(server.url, 1);
  const lease = (await store.leases.acquire(0, "me", 60_000))!;
  const ids = Array.from({ length: 20_000 }, (_, index) => `t${index}`);
  const written = batch({
    shard: 0,
    upserts: ids.map((id) => task(id, {})),
    events: ids.map((id) => event(`evt_${id}`, { lane: id, webhooks: ["ops"] })),
  });
  expect((await store.state.commit(lease, written)).kind).toBe("ok");
  expect(await store.outbox.counts(0)).toMatchObject([{ pending: ids.length }]);
});
