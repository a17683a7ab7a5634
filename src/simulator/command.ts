import { readFile } from "node:fs/promises";
import { systemClock } from "../platform/clock.ts";
import type { Control } from "./control.ts";
import { demoScenario } from "./demo.ts";
import { DEMO_KEY } from "./project.ts";
import { parseScenario, type Scenario } from "./scenario.ts";
import { startSimulator } from "./server.ts";

/** Arguments of `simulate`. Without a scenario and without instances it plays the demo. */
export interface SimulateArguments {
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string;
  /** A scenario file in YAML or JSON. */
  readonly scenario?: string;
  /** So many made-up instances. */
  readonly instances?: number;
  /** Tasks of each of them. */
  readonly tasks?: number;
  /** Transitions per second over all of them. */
  readonly rate?: number;
  readonly seed?: number;
  /** False: every caller is let in. */
  readonly checkSignatures?: boolean;
  /** Requests kept in the log. */
  readonly logSize?: number;
}

export interface SimulateOutput {
  /** Takes one line without its end. */
  readonly stdout: (line: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Runs the simulator until the signal is aborted.
 * @throws Error with a plain sentence when an argument or the scenario is wrong, or the address cannot be had
 */
export async function runSimulator(args: SimulateArguments, io: SimulateOutput): Promise<void> {
  const { host, port } = parseListen(args.listen);
  const scenario = await chooseScenario(args);
  await using simulator = await startSimulator({
    ...scenario,
    host,
    port,
    ...(args.seed === undefined ? {} : { seed: args.seed }),
    ...(args.logSize === undefined ? {} : { log_size: args.logSize }),
    ...(args.checkSignatures === undefined ? {} : { check_signatures: args.checkSignatures }),
  });
  io.stdout(`simulator listening on ${simulator.url} (service, IAM and metadata alike)`);
  for (const { id, name, instances } of simulator.control.projects()) {
    io.stdout(`project ${String(id)}, region ${String(name)}, ${(instances as unknown[]).length} instances`);
  }
  const known = simulator.control.keys().some((key) => key.access_key === DEMO_KEY.access_key);
  if (known) io.stdout(`access key ${DEMO_KEY.access_key}, secret key ${DEMO_KEY.secret_key}`);
  io.stdout(`control: ${simulator.url}/_control/state`);
  if (!isLoopback(host))
    io.stdout("the control API has no password and is open to whoever reaches this address");
  await tellProblems(simulator.control, io);
}

async function chooseScenario(args: SimulateArguments): Promise<Scenario> {
  if (args.scenario !== undefined && args.instances !== undefined) {
    throw new Error("give a scenario or a number of instances, not both");
  }
  if (args.scenario !== undefined) return parseScenario(await textOf(args.scenario), args.scenario);
  if (args.instances === undefined) return demoScenario();
  const load = { instances: args.instances, tasks: args.tasks ?? 8, rate: args.rate ?? 0 };
  return { steps: [{ load }] };
}

const textOf = (path: string): Promise<string> =>
  readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === "ENOENT" ? "there is no such file" : `it cannot be read (${cause.code})`;
    throw new Error(`scenario: ${path}: ${reason}; allowed: a scenario in YAML or JSON`, { cause });
  });

function parseListen(listen: string): { host: string; port: number } {
  const match = /^(?:(?:\[([0-9A-Fa-f:.]+)\]|([^:]*)):)?(\d{1,5})$/.exec(listen);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) {
    throw new Error(
      `listen: not an address: ${JSON.stringify(listen)}; allowed: 127.0.0.1:18080, [::1]:18080, 18080`,
    );
  }
  return { host: match[1] ?? (match[2] || "127.0.0.1"), port };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

/** Until the end; keeps up with the script too, so that nothing piles up while nobody calls. */
async function tellProblems(control: Control, io: SimulateOutput): Promise<void> {
  let told = 0;
  while (!io.signal.aborted) {
    control.now();
    for (const { seq, message } of control.problems()) {
      if (seq <= told) continue;
      io.stdout(`a step could not be done: ${message}`);
      told = seq;
    }
    try {
      await systemClock.sleep(1000, io.signal);
    } catch (error) {
      if (!io.signal.aborted) throw error;
    }
  }
}
