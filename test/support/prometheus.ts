import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  /** Epoch seconds, and the value as text. */
  readonly value: readonly [number, string];
}

/** A real Prometheus on a free port of 127.0.0.1. */
export class Prometheus implements AsyncDisposable {
  readonly url: string;
  readonly #process: ChildProcess;
  readonly #data: string;

  private constructor(url: string, process: ChildProcess, data: string) {
    this.url = url;
    this.#process = process;
    this.#data = data;
  }

  /** Resolves when it answers. Rejects with its log when it ends before. */
  static async start(
    configFile: string,
    { port }: { readonly port?: number | undefined } = {},
  ): Promise<Prometheus> {
    const address = `127.0.0.1:${port ?? (await freePort())}`;
    const data = await mkdtemp(join(tmpdir(), "taskwatch-prometheus-"));
    const server = spawn(
      "prometheus",
      [`--config.file=${configFile}`, `--storage.tsdb.path=${data}`, `--web.listen-address=${address}`],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    let said = "";
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", (error) =>
          reject(new Error(`prometheus is needed: apt-get install prometheus (${error})`)),
        );
        server.once("exit", (code) => reject(new Error(`prometheus ended with ${code}: ${said}`)));
        server.stderr.on("data", (chunk: Buffer) => {
          said += chunk;
          if (said.includes("Server is ready to receive web requests")) resolve();
        });
      });
    } catch (error) {
      await rm(data, { recursive: true, force: true });
      throw error;
    }
    server.stderr.removeAllListeners("data").resume();
    return new Prometheus(`http://${address}`, server, data);
  }

  /** The instant vector of an expression, as of now. Rejects with what it says about a bad one. */
  async query(expression: string): Promise<readonly Series[]> {
    const body = (await this.#get(`query?query=${encodeURIComponent(expression)}`)) as {
      readonly result: readonly Series[];
    };
    return body.result;
  }

  /** What scrapes said that failed, by target; none when all goes well. */
  async scrapeErrors(): Promise<readonly string[]> {
    const { activeTargets } = (await this.#get("targets?state=active")) as {
      readonly activeTargets: readonly { readonly scrapeUrl: string; readonly lastError: string }[];
    };
    return activeTargets
      .filter(({ lastError }) => lastError !== "")
      .map(({ scrapeUrl, lastError }) => `${scrapeUrl}: ${lastError}`);
  }

  async #get(path: string): Promise<unknown> {
    const answer = await fetch(`${this.url}/api/v1/${path}`);
    const body = (await answer.json()) as { status: string; error?: string; data: unknown };
    if (body.status !== "success") throw new Error(`${path}: ${body.error}`);
    return body.data;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill("SIGKILL");
      await once(this.#process, "exit");
    }
    await rm(this.#data, { recursive: true, force: true });
  }
}
