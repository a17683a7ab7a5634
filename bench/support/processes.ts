import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { shipped } from "./shipped.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Child processes of a benchmark, ended with it. */
export class Processes implements AsyncDisposable {
  readonly #all: ChildProcess[] = [];

  /** What the package and the image run; built anew, or what is measured would be yesterday's. */
  static build(): void {
    // By run.ts, once for all: a build under a daemon that runs would take its files away.
    if (process.env.BENCH_BUILT) return;
    const { status } = spawnSync(process.execPath, ["scripts/build.ts"], { cwd: ROOT, stdio: "inherit" });
    if (status !== 0) throw new Error("the build failed");
  }

  /** A script of bench/, which ends by itself when we are gone. Resolves with its first line of output. */
  async script(path: string): Promise<{ readonly child: ChildProcess; readonly line: string }> {
    const child = this.#spawn([path], { stdio: ["ignore", "pipe", "inherit", "ipc"] });
    return { child, line: await firstLine(child) };
  }

  /** The daemon, with the flags that are measured. `loopFile` takes how long its event loop is held. */
  daemon(args: readonly string[], loopFile: string | null): ChildProcess {
    const watch = loopFile === null ? [] : ["--import", "./bench/support/loop-watch.ts"];
    return this.#spawn([...shipped.flags, ...watch, "dist/main.js", ...args], {
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...withoutShipped(), ...shipped.env, BENCH_LOOP_FILE: loopFile ?? "" },
    });
  }

  /** The simulated cloud, with room enough not to be what is measured, once it has said its first line. */
  async simulator(args: readonly string[]): Promise<string> {
    const child = this.#spawn(["--max-semi-space-size=16", "dist/main.js", "simulate", ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const line = await firstLine(child);
    child.stdout?.resume();
    return line;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#all) await end(child);
  }

  #spawn(args: readonly string[], options: SpawnOptions): ChildProcess {
    const child = spawn(process.execPath, args, { cwd: ROOT, ...options });
    this.#all.push(child);
    return child;
  }
}

/** Our own environment, without what the flags that are measured may leave away. */
function withoutShipped(): NodeJS.ProcessEnv {
  const { MALLOC_ARENA_MAX: _, ...others } = process.env;
  return others;
}

/** SIGTERM, and SIGKILL where that is not enough. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), 15_000);
  await gone;
  clearTimeout(late);
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error("its output is not piped");
  for await (const line of createInterface(child.stdout)) return line;
  throw new Error("it ended without a word");
}

/** The process and all its descendants. */
function tree(pid: number): readonly number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // "pid (name) state parent …", where the name may hold anything.
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {
      // It has ended meanwhile.
    }
  }
  const found = [pid];
  for (const one of found) found.push(...(children.get(one) ?? []));
  return found;
}

/** Resident memory of the whole tree in MB, as the kernel counts it; shared pages count for each process. */
export function residentMb(pid: number): number {
  let kib = 0;
  for (const one of tree(pid)) {
    try {
      kib += Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${one}/status`, "utf8"))?.[1] ?? 0);
    } catch {
      // It has ended meanwhile.
    }
  }
  return kib / 1024;
}

/** CPU time that the whole tree has used, seconds. */
export function cpuSeconds(pid: number): number {
  let ticks = 0;
  for (const one of tree(pid)) {
    try {
      const stat = readFileSync(`/proc/${one}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // It has ended meanwhile.
    }
  }
  return ticks / 100;
}
