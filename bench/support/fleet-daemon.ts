import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../test/support/free-port.ts";
import { Processes } from "./processes.ts";

/** A configuration as it stands in a file; JSON is YAML. */
export type RawConfig = Readonly<Record<string, unknown>>;

/** One daemon, built and started as the image starts it, and a folder for its files. */
export class FleetDaemon implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "taskwatch-bench-"));
  readonly processes = new Processes();
  readonly url: string;
  readonly #file: string;
  readonly #listen: string;

  private constructor(port: number) {
    this.#listen = `127.0.0.1:${port}`;
    this.url = `http://${this.#listen}`;
    this.#file = join(this.folder, "taskwatch.yaml");
  }

  static async create(): Promise<FleetDaemon> {
    return new FleetDaemon(await freePort());
  }

  get #loopFile(): string {
    return join(this.folder, "loop");
  }

  get sqlite(): string {
    return `sqlite:${join(this.folder, "taskwatch.db")}`;
  }

  /** @param watch whether to count how long the event loop is held: see `held` */
  start(config: RawConfig, watch = false): ChildProcess {
    const whole = { server: { listen: this.#listen }, log: { level: "warn" }, ...config };
    writeFileSync(this.#file, JSON.stringify(whole));
    return this.processes.daemon(["run", "--config", this.#file], watch ? this.#loopFile : null);
  }

  /** The longest that the event loop was held in each second since `from`, a Date.now(): see loop-watch.ts. */
  held(from: number): readonly { readonly ms: number; readonly own: number }[] {
    const lines = readFileSync(this.#loopFile, "utf8").trim().split("\n");
    const readings = lines.map((line) => line.split(" ").map(Number));
    return readings.flatMap(([at = 0, ms = 0, own = 0]) => (at >= from + 1_000 ? [{ ms, own }] : []));
  }

  /** Milliseconds from `from` until it is ready. Rejects when it ends before. */
  async ready(child: ChildProcess, from: number): Promise<number> {
    const ended = once(child, "exit").then(([code]) => {
      throw new Error(`the daemon ended with ${code}`);
    });
    const answered = async () => {
      for (;;) {
        const status = await fetch(`${this.url}/readyz`).then(
          (answer) => answer.status,
          () => 0,
        );
        if (status === 200) return performance.now() - from;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    return Promise.race([answered(), ended]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.processes[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
