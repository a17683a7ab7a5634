import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AgentOptions, createAgent } from "../../src/cloud/agent.ts";
import { client, lastDay, NEVER } from "./client.ts";
import { json, type Served, serve } from "./serve.ts";

const EMPTY = { task_count: "0", tasks: [] };
const PLAIN: AgentOptions = { connections: 2, ca: null, proxy: null, env: {} };

let tls: { key: string; cert: string };

beforeAll(async () => {
  const dir = await mkdtemp(join(tmpdir(), "cloud-tls-"));
  try {
    const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
    const subject = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"];
    await promisify(execFile)("openssl", [
      ...[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
      ],
      ...["-keyout", key, "-out", cert],
      ...subject,
    ]);
    tls = { key: await readFile(key, "utf8"), cert: await readFile(cert, "utf8") };
  } finally {
    await rm(dir, { recursive: true });
  }
});

interface Proxy extends AsyncDisposable {
  readonly url: string;
  /** `CONNECT host:port` and `GET http://…` as they came. */
  readonly asked: string[];
  readonly credentials: (string | undefined)[];
}

async function proxy(password?: string): Promise<Proxy> {
  const asked: string[] = [];
  const credentials: (string | undefined)[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    json(response, EMPTY);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  server.on("connect", (request, near: Socket) => {
    asked.push(`CONNECT ${request.url}`);
    credentials.push(request.headers["proxy-authorization"]);
    const expected = password && `Basic ${Buffer.from(`user:${password}`).toString("base64")}`;
    if (expected && request.headers["proxy-authorization"] !== expected) {
      near.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
      return;
    }
    const far = connect(Number(request.url?.split(":")[1]), "127.0.0.1", () => {
      near.write("HTTP/1.1 200 OK\r\n\r\n");
      far.pipe(near).pipe(far);
    });
    sockets.add(far);
    far.on("error", () => near.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    credentials,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

let secure: Served;
beforeAll(async () => {
  secure = await serve((_, response) => json(response, EMPTY), tls);
});
afterAll(() => secure[Symbol.asyncDispose]());

test("a server whose certificate is from a private CA is trusted with that CA, and not without", async () => {
  await using trusting = client(secure.url, { dispatcher: createAgent({ ...PLAIN, ca: tls.cert }) });
  expect((await trusting.source.list("i1", lastDay(), NEVER)).complete).toBe(true);
  await using wary = client(secure.url, { dispatcher: createAgent(PLAIN) });
  await expect(wary.source.list("i1", lastDay(), NEVER)).rejects.toMatchObject({
    reason: "endpoint_unreachable",
    message: expect.stringContaining("its CA is not configured"),
  });
});

test("a configured proxy is used, with its password, and the CA holds for the server behind it", async () => {
  await using between = await proxy("p@ss");
  const url = between.url.replace("http://", "http://user:p%40ss@");
  await using cloud = client(secure.url, { dispatcher: createAgent({ ...PLAIN, ca: tls.cert, proxy: url }) });
  for (let call = 0; call < 3; call++) await cloud.source.list("i1", lastDay(), NEVER);
  expect(between.asked[0]).toBe(`CONNECT 127.0.0.1:${secure.port}`);
  expect(between.asked.length, "tunnels are reused").toBeLessThanOrEqual(2);
});

test("a proxy that refuses is an unreachable endpoint, and its password is in no message", async () => {
  await using between = await proxy("right");
  const url = between.url.replace("http://", "http://user:wrong-password@");
  await using cloud = client(secure.url, { dispatcher: createAgent({ ...PLAIN, ca: tls.cert, proxy: url }) });
  const error: unknown = await cloud.source.list("i1", lastDay(), NEVER).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ reason: "endpoint_unreachable", message: expect.stringContaining("proxy") });
  expect(JSON.stringify(error) + String(error)).not.toContain("wrong-password");
});

test("a proxy that is down is an unreachable endpoint", async () => {
  const gone = await proxy();
  await gone[Symbol.asyncDispose]();
  await using cloud = client(secure.url, {
    dispatcher: createAgent({ ...PLAIN, ca: tls.cert, proxy: gone.url }),
  });
  await expect(cloud.source.list("i1", lastDay(), NEVER)).rejects.toMatchObject({
    reason: "endpoint_unreachable",
  });
});

test("HTTPS_PROXY is honoured, NO_PROXY excepts from it, in capitals or not", async () => {
  for (const name of ["HTTPS_PROXY", "https_proxy"]) {
    await using between = await proxy();
    const env = { [name]: between.url };
    await using cloud = client(secure.url, { dispatcher: createAgent({ ...PLAIN, ca: tls.cert, env }) });
    await cloud.source.list("i1", lastDay(), NEVER);
    expect(between.asked).toEqual([`CONNECT 127.0.0.1:${secure.port}`]);
    await using direct = client(secure.url, {
      dispatcher: createAgent({ ...PLAIN, ca: tls.cert, env: { ...env, NO_PROXY: "10.0.0.1,127.0.0.1" } }),
    });
    await direct.source.list("i1", lastDay(), NEVER);
    expect(between.asked.length).toBe(1);
  }
});

test("HTTP_PROXY is for plain endpoints only", async () => {
  await using between = await proxy();
  await using direct = client(secure.url, {
    dispatcher: createAgent({ ...PLAIN, ca: tls.cert, env: { HTTP_PROXY: between.url } }),
  });
  await direct.source.list("i1", lastDay(), NEVER);
  expect(between.asked).toEqual([]);
  await using cloud = client("http://dms.invalid", {
    dispatcher: createAgent({ ...PLAIN, env: { HTTP_PROXY: between.url } }),
  });
  expect((await cloud.source.list("i1", { from: 0, to: Date.now() }, NEVER)).complete).toBe(true);
  expect(between.asked[0]).toMatch(
    /^GET http:\/\/dms\.invalid\/v2\/p1\/instances\/i1\/tasks\?begin_time=19700101000000/,
  );
});

test("the process's own proxy variables are not looked at", async () => {
  await using between = await proxy();
  process.env.HTTPS_PROXY = between.url;
  try {
    await using cloud = client(secure.url, { dispatcher: createAgent({ ...PLAIN, ca: tls.cert }) });
    await cloud.source.list("i1", lastDay(), NEVER);
    expect(between.asked).toEqual([]);
  } finally {
    delete process.env.HTTPS_PROXY;
  }
});

test("never more connections at once than configured", async () => {
  const { promise: release, resolve } = Promise.withResolvers<void>();
  await using server = await serve(async (_, response) => {
    if (server.requests.length === 2) resolve();
    await release;
    json(response, EMPTY);
  });
  await using cloud = client(server.url, { connections: 2 });
  await Promise.all(Array.from({ length: 12 }, (_, i) => cloud.source.list(`i${i}`, lastDay(), NEVER)));
  expect(server.connections).toBe(2);
});
