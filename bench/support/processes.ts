import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** As the image starts it. */
const DAEMON = ["--max-semi-space-size=8", "dist/main.js"];

/** Child processes of a benchmark, ended with it. */
export class Processes implements AsyncDisposable {
  readonly #all: ChildProcess[] = [];

  /** What the package and the image run; built anew, or what is measured would be yesterday's. */
  static build(): void {
    const { status } = spawnSync(process.execPath, ["scripts/build.ts"], { cwd: ROOT, stdio: "inherit" });
    if (status !== 0) throw new Error("the build failed");
  }

  /** A script of bench/. Resolves with its first line of output. */
  async script(path: string): Promise<{ readonly child: ChildProcess; readonly line: string }> {
    const child = this.#spawn([path], { stdio: ["ignore", "pipe", "inherit"] });
    return { child, line: await firstLine(child) };
  }

  program(args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return this.#spawn([...DAEMON, ...args], { stdio: ["ignore", "inherit", "inherit"], ...options });
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
