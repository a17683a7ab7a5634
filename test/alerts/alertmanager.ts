import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { request } from "undici";
import { missing, type Tool } from "./tool.ts";

const SERVER: Tool = "prometheus-alertmanager";

/** Labels of one alert; together they are its identity. */
export type Labels = Readonly<Record<string, string>>;

export interface ListedAlert {
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly updatedAt: string;
  readonly generatorURL: string;
  readonly fingerprint: string;
  readonly status: { readonly inhibitedBy: readonly string[] };
}

/** A real Alertmanager on a free port of 127.0.0.1, without clustering. */
export class Alertmanager {
  readonly url: string;
  readonly #process: ChildProcess;
  readonly #dir: string;

  private constructor(url: string, process: ChildProcess, dir: string) {
    this.url = url;
    this.#process = process;
    this.#dir = dir;
  }

  /** Starts it with this configuration file and waits until it listens. Rejects with its log when it does not. */
  static async start(
    configFile: string,
    { port = 0 }: { readonly port?: number } = {},
  ): Promise<Alertmanager> {
    const dir = mkdtempSync(join(tmpdir(), "taskwatch-alertmanager-"));
    const child = spawn(
      SERVER,
      [
        `--config.file=${configFile}`,
        `--storage.path=${dir}`,
        `--web.listen-address=127.0.0.1:${port}`,
        "--cluster.listen-address=",
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    const spawned = once(child, "spawn");
    await spawned.catch(() => {
      rmSync(dir, { recursive: true });
      throw missing(SERVER);
    });
    const log: string[] = [];
    for await (const line of createInterface({ input: child.stderr })) {
      log.push(line);
      const address = /msg="Listening on" address=(\S+)/.exec(line)?.[1];
      if (address === undefined) continue;
      child.stderr.resume();
      return new Alertmanager(`http://${address}`, child, dir);
    }
    rmSync(dir, { recursive: true });
    throw new Error(`Alertmanager ended before it listened:\n${log.join("\n")}`);
  }

  async post(alerts: readonly Labels[]): Promise<void> {
    const answer = await request(`${this.url}/api/v2/alerts`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(alerts.map((labels) => ({ labels }))),
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) throw new Error(`Alertmanager answered ${answer.statusCode}: ${text}`);
  }

  /** All alerts that last, as it lists them. */
  async list(): Promise<ListedAlert[]> {
    const answer = await request(`${this.url}/api/v2/alerts`);
    return (await answer.body.json()) as ListedAlert[];
  }

  /** All alerts that it holds, each with the labels of those that inhibit it. */
  async alerts(): Promise<{ labels: Labels; inhibitedBy: Labels[] }[]> {
    const alerts = await this.list();
    const byFingerprint = new Map(alerts.map((alert) => [alert.fingerprint, alert.labels]));
    return alerts.map(({ labels, status }) => ({
      labels,
      inhibitedBy: status.inhibitedBy.map((fingerprint) => byFingerprint.get(fingerprint) ?? {}),
    }));
  }

  async stop(): Promise<void> {
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGTERM");
    await ended;
    rmSync(this.#dir, { recursive: true });
  }
}
