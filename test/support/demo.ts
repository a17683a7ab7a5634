import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Folder } from "./daemon.ts";
import { type Scrape, scrape } from "./scrape.ts";
import { Watchers } from "./watchers.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** `npm run demo`, as somebody types it in a terminal. */
export class Demo implements AsyncDisposable {
  /** Where it puts its temporary files. */
  readonly folder: Folder;
  output = "";
  /** Exit code, or the signal that ended npm. */
  readonly exited: Promise<number | string>;
  readonly #child: ChildProcess;
  readonly #watchers = new Watchers();

  private constructor(folder: Folder) {
    this.folder = folder;
    // A process group of its own, which gets the Ctrl-C as a whole.
    this.#child = spawn("npm", ["run", "demo"], {
      cwd: ROOT,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: folder.path },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on("data", (chunk: Buffer) => {
        this.output += chunk;
        this.#watchers.changed();
      });
    this.exited = once(this.#child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  }

  static async start(): Promise<Demo> {
    return new Demo(await Folder.create());
  }

  /** Resolves with the match when the output has it. */
  says(pattern: RegExp): Promise<RegExpExecArray> {
    const ended = this.exited.then((code) => {
      throw new Error(`the demo ended with ${code}: ${this.output}`);
    });
    const said = this.#watchers.until(
      () => pattern.exec(this.output) ?? undefined,
      () => this.output,
    );
    return Promise.race([said, ended]);
  }

  /** Where the daemon listens; known once it says so. */
  async url(): Promise<string> {
    return (await this.says(/Metrics +(http:\S+)\/metrics/))[1] ?? "";
  }

  async scrape(): Promise<Scrape> {
    return scrape(await this.url());
  }

  /** Ctrl-C. */
  interrupt(): Promise<number | string> {
    this.#signal("SIGINT");
    return this.exited;
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal("SIGKILL");
    await this.exited;
    await this.folder[Symbol.asyncDispose]();
  }
}
