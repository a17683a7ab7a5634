import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { vi } from "vitest";
import { PROGRAM, programEnv } from "./cli.ts";
import { LogLines } from "./log-lines.ts";
import { type Scrape, scrape } from "./scrape.ts";
import type { RawConfig } from "./watch-config.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** A folder for a configuration, a database and whatever else, gone at the end. */
export class Folder implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async create(): Promise<Folder> {
    return new Folder(await mkdtemp(join(tmpdir(), "taskwatch-e2e-")));
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** In one step, so that nobody reads half of it. */
  async write(name: string, content: string | RawConfig): Promise<string> {
    const path = this.file(name);
    await writeFile(`${path}.new`, typeof content === "string" ? content : JSON.stringify(content, null, 2));
    await rename(`${path}.new`, path);
    return path;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }
}

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** What Node.js is told to run; or `npm start`, which gets a process group of its own, as in a terminal. */
export type Launcher = readonly string[] | "npm";

/** The daemon as a process of its own. */
export class Daemon implements AsyncDisposable {
  readonly log = new LogLines();
  readonly stderr = new LogLines();
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #group: boolean;

  /** Starts it, and does not wait for anything. Without a path the environment is the configuration. */
  constructor(
    configPath: string | null,
    env: Readonly<Record<string, string>> = {},
    launcher: Launcher = [PROGRAM],
    subcommand = "run",
  ) {
    this.#group = launcher === "npm";
    const [command, args] =
      launcher === "npm"
        ? ["npm", ["start", "--silent", "--"]]
        : [process.execPath, [...launcher, subcommand]];
    const config = configPath === null ? [] : ["--config", configPath];
    this.#child = spawn(command, [...args, ...config], {
      cwd: ROOT,
      detached: this.#group,
      stdio: ["ignore", "pipe", "pipe"],
      env: programEnv(env),
    });
    this.#child.stdout?.on("data", (chunk: Buffer) => this.log.write(chunk));
    this.#child.stderr?.on("data", (chunk: Buffer) => this.stderr.write(chunk));
    this.exited = once(this.#child, "close").then(([code, signal]) => ({ code, signal }) as Exit);
  }

  /** Resolves when it is ready. Rejects with what it said when it ends before. */
  static async start(...how: ConstructorParameters<typeof Daemon>): Promise<Daemon> {
    const daemon = new Daemon(...how);
    try {
      await daemon.ready();
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      throw error;
    }
    return daemon;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Where it listens; known once it said so. */
  get url(): string {
    return String(this.log.of("listening").at(-1)?.url ?? "");
  }

  async ready(): Promise<void> {
    const ended = this.exited.then(({ code, signal }) => {
      throw new Error(`the daemon ended (${code ?? signal}): ${this.stderr.text}${this.log.text}`);
    });
    await Promise.race([this.log.until("listening"), ended]);
    await vi.waitFor(
      async () => {
        const { status } = await fetch(`${this.url}/readyz`);
        if (status !== 200) throw new Error(`/readyz answers ${status}: ${this.log.text}`);
      },
      { timeout: 20_000, interval: 20 },
    );
  }

  scrape(headers: Record<string, string> = {}): Promise<Scrape> {
    return scrape(this.url, headers);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      // A stopped process does not die of anything else.
      if (this.#group) process.kill(-this.pid, "SIGKILL");
      else this.#child.kill("SIGKILL");
    }
    await this.exited;
  }
}
