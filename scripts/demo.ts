import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pretty from "pino-pretty";
import { App } from "../src/app/app.ts";
import { loadConfig } from "../src/config/load.ts";
import { formatProblem } from "../src/config/problem.ts";
import { createLog } from "../src/observe/logger.ts";
import { systemClock } from "../src/platform/clock.ts";
import { memberName, random } from "../src/platform/process.ts";
import { demoScenario } from "../src/simulator/demo.ts";
import { DEMO_KEY, startSimulator } from "../src/simulator/server.ts";
import { VERSION } from "../src/version.ts";
import { startDemoReceiver } from "./demo-receiver.ts";

/*
 * The whole of it on one machine, without an account anywhere: a simulated cloud, the daemon on it with the embedded
 * store, and a receiver that checks the signature of each webhook. In one process, so that Ctrl-C ends all.
 */

const PORT = 10464;
const SECRET = `whsec_${Buffer.from("a secret for the demonstration only").toString("base64")}`;
const say = (line: string) => void process.stdout.write(`${line}\n`);
// From the first moment on, so that whenever it comes everything is cleaned up.
const ended = new Promise<void>((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
  // Whoever reads the output may leave early, as `head` does.
  process.stdout.on("error", () => resolve());
});

await using resources = new AsyncDisposableStack();
const folder = mkdtempSync(join(tmpdir(), "dms-taskwatch-demo-"));
resources.defer(() => {
  rmSync(folder, { recursive: true, force: true });
  say("  Ended; nothing is left behind.");
});
const simulator = resources.use(await startSimulator(demoScenario()));
const receiver = resources.use(await startDemoReceiver(SECRET, say));

const configFile = join(folder, "taskwatch.yaml");
const app = await start(PORT).catch((error: unknown) => {
  if (!isTaken(error)) throw error;
  say(`  Port ${PORT} is taken, perhaps by another dms-taskwatch: a free one is used instead.`);
  return start(0);
});
resources.defer(() => app.stop());

say(`
  dms-taskwatch ${VERSION} watches a simulated cloud. Within half a minute tasks succeed, one fails, and one is found
  that hangs since three hours. The lines below are the daemon's log and the webhooks that it sends; and here is more:

    Status page    ${app.url}/
    Metrics        ${app.url}/metrics
    Configuration  ${configFile}
    Simulator      ${simulator.url}/_control/state

  In another terminal:

    npm start -- tasks --config ${configFile}

  Ctrl-C ends it and leaves nothing behind.
`);
await ended;

/** What an operator would write: a region, a key pair, and all that is there is watched. Only faster than usual. */
function configText(port: number): string {
  return `projects:
  - name: demo
    region: eu-west-101
    # The simulated cloud; without these two the region's own.
    endpoint: ${simulator.url}
    iam_endpoint: ${simulator.url}
    credentials:
      access_key: ${DEMO_KEY.access_key}
      secret_key: ${DEMO_KEY.secret_key}
    discover: {}
    scheduled_tasks: true
stuck:
  # Half of it has passed for the one that runs since 100 minutes, so that its progress is asked for.
  by_task: { storageExpansion: 3h }
  no_progress_after: 20m
poll:
  schedule: "*/5 * * * * *"
  active_schedule: "*/2 * * * * *"
webhooks:
  - name: demo
    url: ${receiver.url}
    secret: ${SECRET}
store:
  url: sqlite:${join(folder, "taskwatch.db")}
server:
  listen: 127.0.0.1:${port}
`;
}

async function start(port: number): Promise<App> {
  writeFileSync(configFile, configText(port));
  const load = () => loadConfig({ path: configFile, env: {} });
  const loaded = await load();
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join("\n"));
  const daemon = new App({
    loaded,
    load,
    log: createLog("info", readable()),
    clock: systemClock,
    random,
    env: {},
    build: { version: VERSION, revision: "demo", nodeVersion: process.versions.node },
    member: memberName(),
  });
  await daemon.start();
  return daemon;
}

/** The log, which is JSON, in lines for people: what happened, where, why, and the rest where it says more. */
function readable() {
  return pretty({
    colorize: process.stdout.isTTY,
    singleLine: true,
    destination: process.stdout,
    translateTime: "SYS:HH:MM:ss",
    messageFormat:
      "{msg}{if instance_name}  {instance_name}{end}{if task_name} / {task_name}{end}{if reason}  ({reason}){end}",
    ignore: [
      ...["component", "project", "instance_id", "instance_name", "task_id", "task_name", "reason"],
      ...[
        "status",
        "previous_status",
        "verdict",
        "resolution",
        "duration_seconds",
        "delay_seconds",
        "changed",
      ],
    ].join(","),
  });
}

function isTaken(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
}
