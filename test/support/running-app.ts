import { resolve } from "node:path";
import { App } from "../../src/app/app.ts";
import { readSmallFile } from "../../src/config/files.ts";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import type { ReloadAnswer } from "../../src/http/routes.ts";
import { createLog } from "../../src/observe/logger.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { memberName, random } from "../../src/platform/process.ts";
import type { Clock } from "../../src/ports/clock.ts";
import { LogLines } from "./log-lines.ts";
import { type Scrape, scrape } from "./scrape.ts";
import type { RawConfig } from "./watch-config.ts";

export interface RunningAppOptions {
  readonly clock?: Clock;
  readonly level?: "debug" | "info";
  readonly env?: Readonly<Record<string, string>>;
}

/** The daemon within the test's process, on a clock that the test may move. */
export class RunningApp implements AsyncDisposable {
  readonly log = new LogLines();
  readonly #app: App;
  #config: RawConfig;

  private constructor(
    app: (load: () => ReturnType<typeof loadConfig>, log: LogLines) => App,
    read: (config: RawConfig) => ReturnType<typeof loadConfig>,
    config: RawConfig,
  ) {
    this.#config = config;
    this.#app = app(() => read(this.#config), this.log);
  }

  static async start(config: RawConfig, options: RunningAppOptions = {}): Promise<RunningApp> {
    const running = await RunningApp.loaded(config, options);
    await running.begin();
    return running;
  }

  /** Not begun. */
  static async loaded(
    config: RawConfig,
    { clock = systemClock, level = "debug", env = {} }: RunningAppOptions = {},
  ): Promise<RunningApp> {
    const read = (current: RawConfig) => readConfig(current, env);
    const loaded = await read({ ...config, log: { level } });
    if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join("\n"));
    return new RunningApp(
      (load, log) =>
        new App({
          loaded,
          load,
          log: createLog(level, log),
          clock,
          random,
          env,
          build: { version: "0.0.0", revision: "", nodeVersion: process.versions.node },
          member: memberName(),
        }),
      read,
      { ...config, log: { level } },
    );
  }

  begin(): Promise<void> {
    return this.#app.start();
  }

  get url(): string {
    return this.#app.url ?? "";
  }

  scrape(): Promise<Scrape> {
    return scrape(this.url);
  }

  /** Another configuration takes its place, if it may. */
  reload(config: RawConfig): Promise<ReloadAnswer> {
    this.#config = { log: { level: "debug" }, ...config };
    return this.#app.reload();
  }

  stop(): Promise<void> {
    return this.#app.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#app.stop();
  }
}

const PATH = resolve("taskwatch.yaml");

/** The configuration itself is in no file; what it names is. */
const readConfig = (config: RawConfig, env: Readonly<Record<string, string>>) =>
  loadConfig({
    path: PATH,
    env,
    readFile: async (path) => (path === PATH ? Buffer.from(JSON.stringify(config)) : readSmallFile(path)),
  });
