import type { Config } from "../config/config.ts";
import { fingerprint } from "../config/fingerprint.ts";
import type { LoadResult } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { StoreError, UsageError } from "../errors.ts";
import { apiRoutes } from "../http/api-routes.ts";
import { eventStream } from "../http/event-stream.ts";
import { pageRoutes } from "../http/page-routes.ts";
import type { Readiness, ReloadAnswer } from "../http/routes.ts";
import { createHttpServer, type HttpServer } from "../http/server.ts";
import { Exposition } from "../observe/exposition.ts";
import type { Log } from "../observe/logger.ts";
import { Metrics } from "../observe/metrics.ts";
import { type Build, preset } from "../observe/preset.ts";
import { createRecorder } from "../observe/record.ts";
import type { Clock, Random } from "../ports/clock.ts";
import type { Store } from "../ports/store.ts";
import { type Emit, safeEmit } from "../ports/telemetry.ts";
import { openStore, storeSettings } from "../store/open.ts";

import { OnceAnHour } from "../util/once-an-hour.ts";
import { parseRedisUrl } from "../util/redis-url.ts";
import { storeApi } from "./api.ts";
import { CleanupStack } from "./cleanup-stack.ts";
import { Engine } from "./engine.ts";
import { ObservedStore } from "./observed-store.ts";
import type { Process } from "./status.ts";
import { InstanceViews } from "./views.ts";

export type Loaded = Extract<LoadResult, { readonly ok: true }>;

export interface AppOptions {
  readonly loaded: Loaded;
  /** Loads the configuration anew, for a reload. */
  readonly load: () => Promise<LoadResult>;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly build: Build;
  readonly member: string;
}

/** Between tries to reach a store that does not answer at the start. */
const STORE_AGAIN_MS = 2_000;
/** For the requests that are under way when the server stops; the deliveries have a time of their own. */
const CLOSE_HTTP_MS = 1_000;

/**
 * The daemon, without a process around it: opened, reloaded, stopped. It reads no arguments, installs no signal
 * handlers and keeps nothing global, so that several can run in one process.
 */
export class App {
  readonly #options: AppOptions;
  readonly #log;
  readonly #cleanup: CleanupStack;
  readonly #metrics = new Metrics();
  readonly #views: InstanceViews;
  readonly #emit: Emit;
  readonly #stopping = new AbortController();
  #loaded: Loaded;
  #files: Loaded["files"];
  #http: HttpServer | null = null;
  #store: ObservedStore | null = null;
  #engine: Engine | null = null;
  /** Ended when the last reload that was begun has. */
  #reloading: Promise<unknown> = Promise.resolve();
  #queued: Promise<ReloadAnswer> | null = null;
  #loadedAt: number;
  #lastReload: Process["lastReload"] = null;

  constructor(options: AppOptions) {
    const { log, loaded } = options;
    this.#options = options;
    this.#loaded = loaded;
    this.#files = loaded.files;
    this.#loadedAt = options.clock.now();
    this.#log = log.component("app");
    this.#cleanup = new CleanupStack((name, err) => this.#log.error({ err }, `stopping: ${name} failed`));
    const recorder = createRecorder(this.#metrics, log);
    this.#emit = safeEmit(recorder.emit, (err) => this.#log.error({ err }, "an event could not be recorded"));
    this.#views = new InstanceViews(recorder.failures);
  }

  /**
   * Resolves when everything runs, or when it was stopped before. Rejects with `UsageError` or `StoreError`; what was
   * begun is ended then.
   */
  async start(): Promise<void> {
    try {
      await this.#start();
    } catch (error) {
      // Who stops it before it runs asks for no reason why it does not.
      const stopping = this.#stopping.signal.aborted;
      await this.stop();
      if (!stopping) throw error;
    }
  }

  /** Where it listens, once it does. */
  url: string | null = null;

  /** Files that the configuration in force, or the last attempt, was read from. */
  get files(): Loaded["files"] {
    return this.#files;
  }

  /** All that can fail is done before anything live is touched. Also while it starts. */
  reload(): Promise<ReloadAnswer> {
    if (this.#queued) return this.#queued;
    // One that is under way may have read the files before they were changed: this one reads them after it.
    const next = this.#reloading.then(() => {
      this.#queued = null;
      return this.#reload();
    });
    this.#queued = next;
    this.#reloading = next.catch(() => {});
    return next;
  }

  /** Ready turns 503, polls end, deliveries may finish, leases go back, the store closes. */
  async stop(): Promise<void> {
    if (!this.#stopping.signal.aborted) this.#stopping.abort(new Error("stopping"));
    await this.#cleanup.close();
  }

  async #start(): Promise<void> {
    const { clock, random, env, build, member } = this.#options;
    this.#metrics.collectDefaults();
    this.#preset(this.#loaded.config);
    await this.#listen(this.#loaded.config);
    const store = await this.#openStore();
    // It may have been reloaded while the store was away.
    const { config } = this.#loaded;
    this.#store = new ObservedStore(store, clock, this.#emit);
    this.#cleanup.defer("store", () => store.close());
    this.#emit({ kind: "store.up", downSeconds: 0 });
    const unforeseen = new OnceAnHour();
    const engine = new Engine(config, {
      store: this.#store.store,
      clock,
      random,
      emit: this.#emit,
      env,
      version: build.version,
      member,
      views: this.#views,
      cleanup: this.#cleanup,
      onUnforeseen: (err, where) => {
        // What the store's own trouble brings with it is told once, by the store.
        if (err instanceof StoreError && this.#store?.up === false) return;
        const now = clock.now();
        unforeseen.tidy(now);
        const why = err instanceof Error ? err.message : String(err);
        if (unforeseen.isDue(`${where} ${why}`, now)) this.#log.warn({ err }, where);
      },
    });
    engine.apply(config);
    engine.start();
    this.#engine = engine;
    const at = clock.now();
    this.#emit({ kind: "config.loaded", at, hash: this.#loaded.hash, reload: false, changed: [] });
  }

  async #listen(config: Config): Promise<void> {
    const { clock } = this.#options;
    const exposition = new Exposition({
      metrics: this.#metrics,
      instances: () =>
        this.#views.list(this.#engine?.watched ?? [], this.#engine?.leaving() ?? [], clock.now()),
      keepEndsMs: () => this.#loaded.config.store.keep_events,
      clock,
    });
    const api = storeApi({
      clock,
      emit: this.#emit,
      opened: () => this.#opened(),
      process: () => this.#process(),
    });
    const http = await createHttpServer({
      settings: config.server,
      clock,
      routes: [
        (scope) => {
          apiRoutes(scope, api);
          pageRoutes(scope, api, clock);
          eventStream(scope, {
            api,
            clock,
            stopping: this.#stopping.signal,
            onError: (err) => this.#log.error({ err }, "http: the stream of events"),
          });
        },
      ],
      metrics: (format) => exposition.render(format),
      ready: () => this.#ready(),
      reload: () => this.reload(),
      onError: (err, where) => this.#log.error({ err }, `http: ${where}`),
      onRefused: (refusal) => this.#emit({ kind: "http.refused", at: clock.now(), ...refusal }),
    });
    this.#cleanup.defer("http", () => http.close(CLOSE_HTTP_MS));
    const { host, url } = await http.listen();
    this.#http = http;
    this.url = url;
    this.#log.info({ url }, "listening");
    if (config.server.auth === null && !isLoopback(host)) {
      this.#log.warn({ host }, "server.auth is not set: everybody who reaches this address can read all");
    }
  }

  async #openStore(): Promise<Store> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    // A reload may change the credentials, also while the store is away.
    const current = () => storeSettings(this.#loaded.config.store);
    const { kind } = this.#loaded.config.store;
    const told = new OnceAnHour();
    for (;;) {
      signal.throwIfAborted();
      try {
        return await openStore(current(), { exclusive: true, clock, current });
      } catch (error) {
        const mayPass = kind === "redis" && error instanceof StoreError && error.code === "unavailable";
        if (!mayPass) throw error;
        if (told.isDue("store", clock.now())) this.#emit({ kind: "store.down", error });
        await clock.sleep(STORE_AGAIN_MS, signal);
      }
    }
  }

  /** What requests may read; null before the store has answered, and from the stop on. */
  #opened() {
    if (this.#stopping.signal.aborted || !this.#store || !this.#engine) return null;
    return { store: this.#store.store, engine: this.#engine };
  }

  #process(): Process {
    const { build, member } = this.#options;
    const { config, hash } = this.#loaded;
    return {
      build,
      member,
      config,
      hash,
      loadedAt: this.#loadedAt,
      lastReload: this.#lastReload,
      readiness: this.#ready(),
      storeUp: this.#store?.up ?? false,
    };
  }

  #ready(): Readiness {
    const reasons: string[] = [];
    if (this.#stopping.signal.aborted) reasons.push("stopping");
    else if (!this.#store) reasons.push("the store has not answered yet");
    else if (this.#store.damaged) reasons.push("the store is damaged: restore it from a backup and restart");
    else if (!this.#store.up) reasons.push("the store does not answer");
    else if (!this.#engine || this.#engine.replicas.length === 0)
      reasons.push("the shards were not looked at yet");
    return { ok: reasons.length === 0, reasons };
  }

  async #reload(): Promise<ReloadAnswer> {
    const result = await this.#options.load();
    if (this.#stopping.signal.aborted) return { ok: false, problems: ["the daemon is stopping"] };
    const before = this.#loaded.config;
    this.#files = result.files;
    const problems = result.ok ? fixedProblems(before, result.config) : result.problems.map(formatProblem);
    if (!result.ok || problems.length > 0) return this.#refuse(problems);
    try {
      this.#http?.update(result.config.server);
      this.#engine?.apply(result.config);
    } catch (error) {
      // What had taken it over goes back.
      this.#http?.update(before.server);
      this.#engine?.apply(before);
      if (error instanceof UsageError) return this.#refuse([error.message]);
      this.#log.error({ err: error }, "a configuration that nobody foresaw could not be applied");
      return this.#refuse(["it could not be applied; the log of the daemon says why"]);
    }
    this.#loaded = result;
    this.#preset(result.config);
    const changed = changedKeys(before, result.config);
    const at = this.#options.clock.now();
    this.#loadedAt = at;
    this.#lastReload = { at, problems: [] };
    this.#emit({ kind: "config.loaded", at, hash: result.hash, reload: true, changed });
    return { ok: true };
  }

  #refuse(problems: readonly string[]): ReloadAnswer {
    this.#lastReload = { at: this.#options.clock.now(), problems };
    this.#emit({ kind: "reload.failed", error: new UsageError(problems.join("\n")) });
    return { ok: false, problems };
  }

  #preset(config: Config): void {
    this.#options.log.setLevel(config.log.level);
    const projects = config.projects.map((project) => ({
      name: project.name,
      requestsPerSecond: project.requests_per_second,
      discoverySeconds: project.discover ? project.discover.every / 1_000 : null,
    }));
    preset(
      this.#metrics,
      { projects, webhooks: config.webhooks.map(({ name }) => name), shards: config.store.shards },
      this.#options.build,
    );
  }
}

/** What cannot change while running. */
function fixedProblems(before: Config, after: Config): readonly string[] {
  const fixed: readonly (readonly [string, (config: Config) => unknown])[] = [
    ["store.url", storePlace],
    // What is in it may change: each connection to Redis is made with the settings in force.
    ["store.tls", ({ store }) => store.tls !== null],
    ["store.key_prefix", ({ store }) => store.key_prefix],
    ["store.shards", ({ store }) => store.shards],
    ["store.lease", ({ store }) => store.lease],
    ["server.listen", ({ server }) => server.listen],
  ];
  return fixed
    .filter(([, pick]) => fingerprint(pick(before)) !== fingerprint(pick(after)))
    .map(([key]) => `${key} cannot change while the daemon runs: restart it`);
}

/** The URL without user and password, which may change. */
function storePlace({ store }: Config): unknown {
  if (store.kind === "sqlite") return store.url;
  const place = parseRedisUrl(store.url.reveal());
  return typeof place === "string" ? place : { ...place, username: null, password: null };
}

function changedKeys(before: Config, after: Config): readonly string[] {
  const keys = Object.keys(after) as (keyof Config)[];
  return keys.filter((key) => fingerprint(before[key]) !== fingerprint(after[key]));
}

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || host.startsWith("127.");
