import { App } from "../../src/app/app.ts";
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

/** The daemon within the test's process, on a clock that the test may move. */
export class RunningApp implements AsyncDisposable {
  readonly log = new LogLines();
  readonly #app: App;
  #config: RawConfig;

  private constructor(
    app: (load: () => ReturnType<typeof loadConfig>, log: LogLines) => App,
    config: RawConfig,
  ) {
    this.#config = config;
    this.#app = app(() => readConfig(this.#config), this.log);
  }

  static async start(
    config: RawConfig,
    {
      clock = systemClock,
      level = "debug",
    }: { readonly clock?: Clock; readonly level?: "debug" | "info" } = {},
  ): Promise<RunningApp> {
    const loaded = await readConfig({ ...config, log: { level } });
    if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join("\n"));
    const running = new RunningApp(
      (load, log) =>
        new App({
          loaded,
          load,
          log: createLog(level, log),
          clock,
          random,
          env: {},
          build: { version: "0.0.0", revision: "", nodeVersion: process.versions.node },
          member: memberName(),
        }),
      { ...config, log: { level } },
    );
    await running.#app.start();
    return running;
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

const readConfig = (config: RawConfig) =>
  loadConfig({
    path: "taskwatch.yaml",
    env: {},
    readFile: async () => Buffer.from(JSON.stringify(config)),
  });
