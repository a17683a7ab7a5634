import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import { TcpProxy } from "./proxy.ts";

let server: Server;
let heard: string;
let proxy: TcpProxy;

/** Says every line back. */
beforeEach(async () => {
  heard = "";
  server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      heard += chunk;
      socket.write(chunk);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  proxy = await TcpProxy.start((server.address() as AddressInfo).port);
});

afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  await new Promise((resolve) => server.close(resolve));
});

async function client(): Promise<Socket> {
  const socket = connect(proxy.port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

async function say(socket: Socket, text: string): Promise<string> {
  const answer = once(socket, "data");
  socket.write(text);
  return String((await answer)[0]);
}

/** What ended it: the code of the error, or "end". */
const ending = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
    socket.once("end", () => resolve("end"));
  });

test("bytes pass in order both ways, and latency delays them each way", async () => {
  const socket = await client();
  expect(await say(socket, "one")).toBe("one");
  proxy.latency = 30;
  const from = systemClock.monotonic();
  expect(await say(socket, "two")).toBe("two");
  expect(systemClock.monotonic() - from).toBeGreaterThanOrEqual(58);
  // What is said without latency does not overtake what still waits.
  let answers = "";
  socket.on("data", (chunk) => {
    answers += chunk;
  });
  socket.write("three ");
  proxy.latency = 0;
  socket.write("four");
  await expect.poll(() => answers).toBe("three four");
  socket.destroy();
});

test("a cut ends what is open with a reset and refuses what comes, until it is restored", async () => {
  const socket = await client();
  await say(socket, "one");
  const end = ending(socket);
  proxy.cut();
  expect(await end).toBe("ECONNRESET");
  const refused = connect(proxy.port, "127.0.0.1");
  expect(await ending(refused)).toBe("ECONNRESET");
  proxy.restore();
  const again = await client();
  expect(await say(again, "two")).toBe("two");
  again.destroy();
});

test("a black hole takes everything and says nothing; the connection ends with the hole", async () => {
  const socket = await client();
  await say(socket, "one");
  proxy.blackHole();
  const fresh = await client();
  fresh.write("fresh");
  socket.write("two");
  const ends = Promise.all([ending(socket), ending(fresh)]);
  await expect.poll(() => socket.bytesWritten).toBe(6);
  proxy.restore();
  expect(await ends).toEqual(["ECONNRESET", "ECONNRESET"]);
  expect(heard).toBe("one");
});

test("without answers the server hears what the client says, and the client never knows", async () => {
  const socket = await client();
  await say(socket, "one ");
  proxy.swallowAnswers();
  let told = "";
  socket.on("data", (chunk) => {
    told += chunk;
  });
  socket.write("two");
  await expect.poll(() => heard).toBe("one two");
  const end = ending(socket);
  proxy.restore();
  expect(await end).toBe("ECONNRESET");
  expect(told).toBe("");
});

test("a reset ends the open connections alone", async () => {
  const socket = await client();
  const end = ending(socket);
  await say(socket, "one");
  proxy.reset();
  expect(await end).toBe("ECONNRESET");
  const again = await client();
  expect(await say(again, "two")).toBe("two");
  await expect.poll(() => proxy.open).toBe(1);
  expect(proxy.accepted).toBe(2);
  again.destroy();
});
