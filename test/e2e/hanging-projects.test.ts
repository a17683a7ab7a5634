import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { RunningApp } from "../support/running-app.ts";
import { projectOf, watchConfig } from "../support/watch-config.ts";

vi.setConfig({ testTimeout: 60_000 });

const HANGING = 8;
/** Polls per second that the healthy project needs: one of each instance. */
const NEEDED = 4;

/** Accepts connections and never answers. */
async function hangingEndpoint(): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** One project that answers, and before it others of many instances whose endpoint hangs; all with one new key. */
async function scene() {
  const endpoint = await hangingEndpoint();
  const simulator = await startSimulator({
    projects: [
      {
        name: "healthy",
        keys: [DEMO_KEY],
        instances: Array.from({ length: NEEDED }, (_, n) => ({ name: `i${n}` })),
      },
    ],
  });
  onTestFinished(() => simulator[Symbol.asyncDispose]());
  const hanging = Array.from({ length: HANGING }, (_, project) => ({
    name: `hanging-${project}`,
    region: "eu-west-101",
    project_id: `${project}`.padStart(32, "0"),
    endpoint,
    iam_endpoint: endpoint,
    credentials: { access_key: DEMO_KEY.access_key, secret_key: DEMO_KEY.secret_key },
    requests_per_second: 20,
    instances: Array.from({ length: 20 }, (_, n) => ({ id: `hanging-${project}-${n}` })),
  }));
  const healthy = projectOf(simulator, { name: "healthy", requests_per_second: 20 });
  const app = await RunningApp.start(watchConfig(simulator, null, { projects: [...hanging, healthy] }));
  onTestFinished(() => app[Symbol.asyncDispose]());
  const polls = async () => (await app.scrape()).sum("taskwatch_polls_total", { project: "healthy" });
  return { polls };
}

test("projects whose endpoints hang neither keep a new key from being tried nor slow a project that answers", async () => {
  const { polls } = await scene();
  await expect.poll(polls, { timeout: 25_000, interval: 250 }).toBeGreaterThan(0);

  const from = { at: performance.now(), polls: await polls() };
  await expect.poll(polls, { timeout: 30_000, interval: 250 }).toBeGreaterThan(from.polls + 15 * NEEDED);
  const seconds = (performance.now() - from.at) / 1_000;
  expect(((await polls()) - from.polls) / seconds).toBeGreaterThan(0.8 * NEEDED);
});
