import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pretty from "pino-pretty";
import { Webhook } from "standardwebhooks";
import { App } from "../src/app/app.ts";
import { loadConfig } from "../src/config/load.ts";
import { formatProblem } from "../src/config/problem.ts";
import { createLog } from "../src/observe/logger.ts";
import { systemClock } from "../src/platform/clock.ts";
import { memberName, random } from "../src/platform/process.ts";
import { demoScenario } from "../src/simulator/demo.ts";
import { DEMO_KEY, startSimulator } from "../src/simulator/server.ts";
import { VERSION } from "../src/version.ts";

/*
 * The whole of it on one machine, without an account anywhere: a simulated cloud, the daemon on it with the embedded
 * store, and a receiver that checks the signature of each webhook. In one process, so that Ctrl-C ends all.
 */

const SECRET = `whsec_${Buffer.from("a secret for the demonstration only").toString("base64")}`;
const folder = mkdtempSync(join(tmpdir(), "dms-taskwatch-demo-"));
const say = (line: string) => console.log(line);

await using simulator = await startSimulator({ ...demoScenario(), host: "127.0.0.1", port: 0 });
const receiver = createServer((request, response) => {
  void receive(request).then((line) => {
    response.writeHead(204).end();
    say(line);
  });
});
await once(receiver.listen(0, "127.0.0.1"), "listening");
const receiverUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;

const [project] = simulator.control.projects() as {
  id: string;
  instances: { id: string; name: string; engine: string }[];
}[];
const config = (listen: string) => ({
  projects: [
    {
      name: "demo",
      region: "eu-west-101",
      project_id: project?.id,
      endpoint: simulator.url,
      credentials: { access_key: DEMO_KEY.access_key, secret_key: DEMO_KEY.secret_key },
      instances: project?.instances.map(({ id, name, engine }) => ({ id, name, engine })),
    },
  ],
  poll: { schedule: "*/5 * * * * *", active_schedule: "*/2 * * * * *" },
  store: { url: `sqlite:${join(folder, "taskwatch.db")}` },
  webhooks: [{ name: "demo", url: receiverUrl, secret: SECRET }],
  server: { listen },
});

const app = await startApp("127.0.0.1:10464").catch(() => startApp("127.0.0.1:0"));
say("");
say(`  dms-taskwatch watches a simulated cloud with ${project?.instances.length} instances.`);
say(`  Metrics     ${app.url}/metrics`);
say(`  Status      ${app.url}/`);
say(`  Simulator   ${simulator.url}/_control/state`);
say(
  "  Within half a minute tasks succeed, one fails, and one is found that hangs since three hours. Ctrl-C ends it.",
);
say("");

await new Promise<void>((resolve) => {
  process.once("SIGINT", resolve);
  process.once("SIGTERM", resolve);
});
await app.stop();
receiver.closeAllConnections();
receiver.close();
rmSync(folder, { recursive: true, force: true });

async function startApp(listen: string): Promise<App> {
  const load = () =>
    loadConfig({
      path: "demo.yaml",
      env: {},
      readFile: async () => Buffer.from(JSON.stringify(config(listen))),
    });
  const loaded = await load();
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join("\n"));
  const app = new App({
    loaded,
    load,
    log: createLog(
      "info",
      pretty({ colorize: process.stdout.isTTY, ignore: "project,instance_id,task_id", sync: true }),
    ),
    clock: systemClock,
    random,
    env: process.env,
    build: { version: VERSION, revision: "demo", nodeVersion: process.versions.node },
    member: memberName(),
  });
  await app.start();
  return app;
}

async function receive(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks).toString();
  const headers = request.headers as Record<string, string>;
  const event = new Webhook(SECRET).verify(body, headers) as {
    type: string;
    data: { task: { name: string } | null; instance: { name: string } | null; reason: string };
  };
  const { task, instance, reason } = event.data;
  const what = [instance?.name, task?.name].filter(Boolean).join(" / ");
  return `  webhook received, signature good: ${event.type.replace("taskwatch.", "")}  ${what}  (${reason})`;
}
