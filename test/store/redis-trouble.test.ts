import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { StoreError } from "../../src/errors.ts";
import { systemClock } from "../../src/platform/clock.ts";
import type { Store } from "../../src/ports/store.ts";
import { openStore, type StoreSettings } from "../../src/store/open.ts";
import { freePorts, RedisServer, startSentinels } from "../support/redis.ts";
import { batch, event, leaseOf, record, task } from "./contract/back-end.ts";

const role = { exclusive: true, clock: systemClock } as const;

async function opened(settings: Partial<StoreSettings> & { url: string }): Promise<Store> {
  const store = await openStore({ keyPrefix: "trouble", shards: 4, ...settings }, role);
  onTestFinished(() => store.close());
  return store;
}

async function server(...args: string[]): Promise<RedisServer> {
  const started = await RedisServer.start(args);
  onTestFinished(() => started[Symbol.asyncDispose]());
  return started;
}

/** Tries until the store answers again: reconnecting takes a moment. */
const eventually = <T>(call: () => Promise<T>) =>
  expect
    .poll(
      () =>
        call().then(
          () => true,
          () => false,
        ),
      { timeout: 20_000, interval: 50 },
    )
    .toBe(true);

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => "ok",
    (error: unknown) => (error instanceof StoreError ? error.code : String(error)),
  );

test("a server that is not there is said within seconds, without the password", async () => {
  const gone = await RedisServer.start();
  await gone[Symbol.asyncDispose]();
  const url = `redis://ann:s3cr3t@127.0.0.1:${gone.port}/0`;
  const error = await openStore({ url, keyPrefix: "t", shards: 4 }, role).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(StoreError);
  expect(error).toMatchObject({ code: "unavailable" });
  expect(String(error)).not.toContain("s3cr3t");
});

test("a wrong password is said so, and the right one from the URL or the settings opens", async () => {
  const { port } = await server("--requirepass", "s3cr3t");
  const refused = openStore({ url: `redis://:wrong@127.0.0.1:${port}`, keyPrefix: "t", shards: 4 }, role);
  await expect(refused).rejects.toThrow(/refuses user name and password|wants a password/);
  await (await opened({ url: `redis://:s3cr3t@127.0.0.1:${port}` })).ping();
  await (await opened({ url: `redis://127.0.0.1:${port}`, password: "s3cr3t" })).ping();
});

test("a password that changed while the store is open is used for the next connection", async () => {
  const redis = await server("--requirepass", "old");
  const settings = { url: redis.url, keyPrefix: "trouble", shards: 4 };
  let password = "old";
  const current = () => ({ ...settings, password });
  const store = await openStore(current(), { ...role, current });
  onTestFinished(() => store.close());
  const admin = redis.client("old");
  onTestFinished(() => admin.disconnect());
  await admin.config("SET", "requirepass", "new");
  await admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  await expect.poll(() => codeOf(store.ping()), { timeout: 20_000 }).toBe("unavailable");
  password = "new";
  await eventually(() => store.ping());
});

test("a user that may do what docs/redis.md says, on keys of its prefix alone, is enough", async () => {
  const { port } = await server();
  const admin = new Redis(port, "127.0.0.1");
  onTestFinished(() => admin.disconnect());
  const docs = readFileSync(new URL("../../docs/redis.md", import.meta.url), "utf8");
  const rules = /ACL SETUSER taskwatch (.*)/.exec(docs)?.[1]?.replace(">PASSWORD", ">s3cr3t") ?? "";
  await admin.call("ACL", "SETUSER", "taskwatch", ...rules.split(" "));
  const store = await opened({ url: `redis://taskwatch:s3cr3t@127.0.0.1:${port}`, keyPrefix: "taskwatch" });
  expect(await store.leases.join("replica-a", 10_000)).toEqual(["replica-a"]);
  expect(await store.leases.free("replica-a")).toEqual([0, 1, 2, 3]);
  const lease = await leaseOf(store);
  expect(await store.leases.renew([lease], 10_000)).toEqual([{ lease, generation: 0 }]);
  const first = batch({ upserts: [task("t1", { failedAt: 1 })], events: [event("e1"), event("e2")] });
  expect((await store.state.commit(lease, first)).kind).toBe("ok");
  expect((await store.state.load(1)).instances).toHaveLength(1);
  await store.state.touch(lease, [{ key: "p1/i1", lastCompleteAt: 1, lastSweepAt: null }]);
  const claim = await store.outbox.claim(lease, "ops", 10, 1);
  const deliveries = claim === "fenced" ? [] : claim.deliveries;
  expect(deliveries).toHaveLength(1);
  await store.outbox.settle(lease, "ops", deliveries, { kind: "dead", reason: "refused" }, 1);
  expect(await store.outbox.replay(null, 1)).toHaveLength(1);
  expect(await store.outbox.counts(1)).toHaveLength(1);
  expect(await store.outbox.prune(lease, 1, new Map([["ops", 1]]), 0)).toBe("ok");
  expect(await store.outbox.drop(null)).toEqual([]);
  expect(await store.notes.write("n", "1", 0)).toBe(true);
  expect(await store.notes.list("")).toHaveLength(1);
  expect(await store.budget.take("p1", 5, 1)).toMatchObject({ granted: 0 });
  expect(await store.reader.tasks({ state: "failed" })).toHaveLength(1);
  expect((await store.reader.events({ limit: 10 })).events).toHaveLength(2);
  expect(await store.reader.names()).toEqual([]);
  await store.leases.release(lease);
  await store.leases.leave("replica-a");
  await store.ping();
  const elsewhere = openStore(
    { url: `redis://taskwatch:s3cr3t@127.0.0.1:${port}`, keyPrefix: "other", shards: 4 },
    role,
  );
  await expect(elsewhere).rejects.toThrow(/lacks a permission/);
});

test("another number of shards, or a layout from a newer version, is refused with a sentence", async () => {
  const redis = await server();
  await opened({ url: redis.url });
  await expect(openStore({ url: redis.url, keyPrefix: "trouble", shards: 8 }, role)).rejects.toThrow(
    /has 4 shards and store\.shards is 8/,
  );
  const client = redis.client();
  await client.set("{newer}:layout", "2 4");
  client.disconnect();
  await expect(openStore({ url: redis.url, keyPrefix: "newer", shards: 4 }, role)).rejects.toThrow(
    /newer version/,
  );
});

test("a replica that runs ends its work when a newer one raises the layout", async () => {
  const redis = await server();
  const store = await opened({ url: redis.url });
  await store.leases.join("replica-a", 10_000);
  const client = redis.client();
  await client.set("{trouble}:layout", "2 4 newer");
  expect(await codeOf(store.leases.join("replica-a", 10_000))).toBe("newer");
  await client.set("{trouble}:layout", "garbage");
  expect(await codeOf(store.leases.join("replica-a", 10_000))).toBe("mismatch");
  client.disconnect();
});

test("while the server is away every call fails at once as unavailable, and after it is back they work", async () => {
  const redis = await server();
  const store = await opened({ url: redis.url });
  const lease = await leaseOf(store);
  await redis.kill();
  for (const call of [
    store.ping(),
    store.state.load(1),
    store.state.commit(lease, batch()),
    store.notes.read("n"),
  ]) {
    expect(await codeOf(call)).toBe("unavailable");
  }
  await redis.start();
  await eventually(() => store.ping());
});

test("a server that came back empty knows no lease and no state: both begin anew, under a fence of its own", async () => {
  const redis = await server();
  const store = await opened({ url: redis.url });
  const lease = await leaseOf(store);
  await store.state.commit(lease, batch());
  await redis.kill();
  await redis.start();
  await eventually(() => store.ping());
  expect(await store.leases.renew([lease], 10_000)).toEqual([{ lost: lease }]);
  expect(await store.state.commit(lease, batch())).toEqual({ kind: "fenced" });
  await store.leases.join("replica-a", 10_000);
  const again = await leaseOf(store);
  expect((await store.state.load(again.shard)).instances).toEqual([]);
  // The layout is there again too, so that a replica configured otherwise is still refused.
  await expect(openStore({ url: redis.url, keyPrefix: "trouble", shards: 8 }, role)).rejects.toThrow(
    /4 shards/,
  );
});

test("older data is noticed by the generation that a renewal returns", async () => {
  const redis = await server();
  const store = await opened({ url: redis.url });
  const lease = await leaseOf(store);
  await store.state.commit(lease, batch());
  await store.state.commit(lease, batch({ expectRevision: 1 }));
  const client = redis.client();
  await client.hset("{trouble:1}:meta", "gen", 1);
  client.disconnect();
  expect(await store.leases.renew([lease], 10_000)).toEqual([{ lease, generation: 1 }]);
});

test("a full memory is said as full, and keeps nothing of the write", async () => {
  const redis = await server("--maxmemory", "3mb", "--maxmemory-policy", "noeviction");
  const store = await opened({ url: redis.url });
  const lease = await leaseOf(store);
  const client = redis.client();
  for (let index = 0; index < 40; index++)
    await client.set(`ballast${index}`, "x".repeat(100_000)).catch(() => {});
  client.disconnect();
  const big = batch({ upserts: [task("t1", { params: "y".repeat(200_000) })] });
  expect(await codeOf(store.state.commit(lease, big))).toBe("full");
  expect((await store.state.load(1)).instances).toEqual([]);
});

test("an address that answers as a read-only replica is unavailable, not a lost lease", async () => {
  const master = await server();
  const replica = await server("--replicaof", "127.0.0.1", String(master.port));
  await eventually(async () => {
    await openStore({ url: replica.url, keyPrefix: "trouble", shards: 4 }, role).then(
      (store) => store.close(),
      (error: StoreError) => {
        if (!/read-only replica/.test(error.message)) throw error;
      },
    );
  });
  expect(await codeOf(openStore({ url: replica.url, keyPrefix: "x", shards: 4 }, role))).toBe("unavailable");
});

test("under Sentinel the store follows a failover, and nothing acknowledged before it was copied is lost", async () => {
  const servers = await startSentinels();
  onTestFinished(() => servers[Symbol.asyncDispose]());
  const store = await opened({ url: servers.url });
  const lease = await leaseOf(store);
  await store.state.commit(lease, batch({ record: record({ name: "before" }), events: [event("evt_1")] }));
  const [master, replica] = servers.servers;
  const client = replica!.client();
  await expect.poll(() => client.hget("{trouble:1}:meta", "gen"), { timeout: 20_000 }).toBe("1");
  client.disconnect();
  await master!.kill();
  await eventually(async () => {
    const result = await store.state.commit(
      lease,
      batch({ expectRevision: 1, record: record({ name: "after" }) }),
    );
    expect(result).toEqual({ kind: "ok", generation: 2 });
  });
  expect((await store.state.load(1)).instances[0]?.record.name).toBe("after");
}, 60_000);

test("rediss:// checks the server by its CA and shows its own certificate", async () => {
  const folder = mkdtempSync(join(tmpdir(), "taskwatch-tls-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "ignore", cwd: folder });
  openssl(
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-keyout",
    "ca.key",
    "-out",
    "ca.crt",
    "-days",
    "2",
    "-subj",
    "/CN=test ca",
  );
  for (const name of ["server", "client"]) {
    openssl(
      "req",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.csr`,
      "-subj",
      "/CN=localhost",
      "-addext",
      "subjectAltName=DNS:localhost,IP:127.0.0.1",
    );
    openssl(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      "-CA",
      "ca.crt",
      "-CAkey",
      "ca.key",
      "-CAcreateserial",
      "-out",
      `${name}.crt`,
      "-days",
      "2",
      "-copy_extensions",
      "copy",
    );
  }
  const [port = 0] = await freePorts(1);
  const redis = await RedisServer.start([
    "--tls-port",
    String(port),
    "--tls-cert-file",
    file("server.crt"),
    "--tls-key-file",
    file("server.key"),
    "--tls-ca-cert-file",
    file("ca.crt"),
  ]);
  onTestFinished(() => redis[Symbol.asyncDispose]());
  const pem = (name: string) => readFileSync(file(name), "utf8");
  const url = `rediss://127.0.0.1:${port}`;
  const tls = { ca: pem("ca.crt"), cert: pem("client.crt"), key: pem("client.key") };
  await (await opened({ url, tls })).ping();
  const trustless = { ...tls, ca: null };
  expect(await codeOf(openStore({ url, tls: trustless, keyPrefix: "t", shards: 4 }, role))).toBe(
    "unavailable",
  );
  const nameless = { ca: tls.ca, cert: null, key: null };
  expect(await codeOf(openStore({ url, tls: nameless, keyPrefix: "t", shards: 4 }, role))).toBe(
    "unavailable",
  );

  // A certificate that is replaced while the store is open is used for the next connection.
  const settings = { url, keyPrefix: "trouble", shards: 4 };
  let certificate: { cert?: string; key?: string } = { cert: tls.cert, key: tls.key };
  const current = () => ({ ...settings, tls: { ...nameless, ...certificate } });
  const store = await openStore(current(), { ...role, current });
  onTestFinished(() => store.close());
  certificate = {};
  const admin = redis.client();
  onTestFinished(() => admin.disconnect());
  await admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  await expect.poll(() => codeOf(store.ping()), { timeout: 20_000 }).toBe("unavailable");
  certificate = { cert: tls.cert, key: tls.key };
  await eventually(() => store.ping());
}, 60_000);

test("closing ends within a second, also while the server stands still", async () => {
  const redis = await server();
  const store = await openStore({ url: redis.url, keyPrefix: "trouble", shards: 4 }, role);
  redis.signal("SIGSTOP");
  const from = systemClock.monotonic();
  await store.close();
  expect(systemClock.monotonic() - from).toBeLessThan(1_000);
  redis.signal("SIGCONT");
});
