import { Gates } from "../../src/app/gates.ts";
import { ObservedStore } from "../../src/app/observed-store.ts";
import { Projects } from "../../src/app/projects.ts";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import type { TaskwatchEvent } from "../../src/core/event.ts";
import { createLog } from "../../src/observe/logger.ts";
import { Metrics } from "../../src/observe/metrics.ts";
import { createRecorder } from "../../src/observe/record.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { Poller } from "../../src/poll/poller.ts";
import type { ProjectGate } from "../../src/poll/project-gate.ts";
import { Reachability } from "../../src/poll/reachability.ts";
import { ReplicaCounts } from "../../src/poll/replica-counts.ts";
import { Shard } from "../../src/poll/shard.ts";
import { TaskNameStatistics } from "../../src/poll/task-name-statistics.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Store } from "../../src/ports/store.ts";
import { type RuntimeEvent, safeEmit } from "../../src/ports/telemetry.ts";
import { openStore, storeSettings } from "../../src/store/open.ts";

export interface PollLoadOptions {
  readonly name: string;
  readonly origin: string;
  readonly kind: "idle" | "busy";
  readonly url: string;
  readonly projects: number;
  /** Over all projects. */
  readonly instances: number;
  readonly inFlight: number;
  /** One webhook takes every event, so that each commit fills its outbox too. Nothing is sent. */
  readonly deliveries: boolean;
  readonly log: (line: string) => void;
}

/** Both clocks may be moved on, so that polls fall due as fast as they are made. */
class HurriedClock implements Clock {
  #ahead = 0;
  now = () => Date.now() + this.#ahead;
  monotonic = () => performance.now() + this.#ahead;
  sleep = (ms: number, signal?: AbortSignal) => systemClock.sleep(ms, signal);
  after = (ms: number, act: () => void) => systemClock.after(ms, act);
  hurry(ms: number): void {
    this.#ahead += ms;
  }
}

/** The budget is to be taken from, and never to be waited for. */
class WideGates extends Gates {
  override gate(project: string, _: number, fingerprint: string): ProjectGate {
    return super.gate(project, 1_000_000, fingerprint);
  }
}

const LONG_MS = 86_400_000;

/** The poll as the daemon wires it, with all its limits, and always enough due to keep all places taken. */
export class PollLoad {
  readonly name: string;
  readonly #options: PollLoadOptions;
  readonly #clock = new HurriedClock();
  readonly #shards: Shard[] = [];
  #store: Store | null = null;
  #poller: Poller | null = null;
  #projects: Projects | null = null;
  #due = 0;
  #running = false;
  #idle: (() => void) | null = null;
  readonly #counts = { polls: 0, failed: 0, calls: 0, transitions: 0, merged: 0 };

  private constructor(options: PollLoadOptions) {
    this.name = options.name;
    this.#options = options;
  }

  static async open(options: PollLoadOptions): Promise<PollLoad> {
    const load = new PollLoad(options);
    await load.#open();
    return load;
  }

  /** Resolves with the number of polls made, when none is left in flight. */
  async run(ms: number): Promise<number> {
    const before = this.#counts.polls;
    this.#running = true;
    const idle = new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
    this.#round();
    await systemClock.sleep(ms);
    this.#running = false;
    await idle;
    // The daemon does so every ten seconds.
    for (const shard of this.#shards) await shard.flush();
    return this.#counts.polls - before;
  }

  /** Made so far. */
  get polls(): number {
    return this.#counts.polls;
  }

  tally(): string {
    const { polls, calls, failed, transitions } = this.#counts;
    return `${(calls / polls).toFixed(2)} calls and ${(transitions / polls).toFixed(2)} transitions per poll, ${failed} failed`;
  }

  async close(): Promise<void> {
    this.#poller?.stop();
    await this.#projects?.close();
    for (const shard of this.#shards) await shard.end();
    await this.#store?.close();
  }

  async #open(): Promise<void> {
    const { origin, kind, url, instances, inFlight, deliveries, log, name } = this.#options;
    const projectName = (project: number) => `bench-${project}`;
    const numbers = Array.from({ length: this.#options.projects }, (_, project) => project);
    const loaded = await loadConfig({
      path: "bench.yaml",
      env: {},
      readFile: async () =>
        Buffer.from(
          JSON.stringify({
            projects: numbers.map((project) => ({
              name: projectName(project),
              region: "eu-west-101",
              project_id: `0605768a3300d5762fd0c002e2bb${String(project).padStart(4, "0")}`,
              endpoint: origin,
              credentials: { access_key: "AKBENCH", secret_key: "SKBENCH" },
              requests_per_second: 1_000,
              instances: Array.from({ length: instances / numbers.length }, (_, i) => ({
                id: `${kind}-${name.length}-${project}-${i}`,
              })),
            })),
            poll: { schedule: "* * * * * *", active_schedule: "off", concurrency: inFlight },
            store: { url, key_prefix: `cycle${kind}${numbers.length}` },
            webhooks: deliveries
              ? [{ name: "ops", url: origin, events: ["task.started", "task.succeeded"] }]
              : [{ name: "ops", url: origin }],
          }),
        ),
    });
    if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join("\n"));
    const { config } = loaded;
    const clock = this.#clock;
    const metrics = new Metrics();
    metrics.setOwners({ projects: new Set(numbers.map(projectName)), webhooks: new Set(["ops"]) });
    const recorder = createRecorder(metrics, createLog("info", { write: log }));
    const emit = safeEmit(
      (event) => {
        recorder.emit(event);
        this.#saw(event);
      },
      (error) => console.error(error),
    );
    const opened = await openStore(storeSettings(config.store), { exclusive: true, clock });
    const { store } = new ObservedStore(opened, clock, emit);
    this.#store = store;
    const committed = (_: Shard, events: readonly TaskwatchEvent[]) => {
      for (const { type, id } of events) emit({ kind: "event.committed", type, id });
    };
    const gates = new WideGates(store, clock, emit);
    const poller = new Poller({
      clock,
      random: Math.random,
      emit,
      knowledge: new TaskNameStatistics(() => this.#shards),
      reach: new Reachability({
        emit,
        replicaCounts: new ReplicaCounts({ notes: store.notes, member: "bench", members: () => ["bench"] }),
        committed,
      }),
      concurrency: inFlight,
      committed,
      onNotFound: async () => false,
    });
    this.#poller = poller;
    const { promise: found, resolve } = Promise.withResolvers<void>();
    const projects = new Projects({
      gates,
      notes: store.notes,
      clock,
      emit,
      env: {},
      onChange: () => {
        const { projects: known, targets } = projects.watched();
        poller.setTargets(known, targets);
        if (targets.length === instances) resolve();
      },
    });
    this.#projects = projects;
    projects.apply(config);
    await found;
    for (let shard = 0; shard < config.store.shards; shard++) {
      const lease = await store.leases.acquire(shard, "bench", LONG_MS);
      if (!lease) throw new Error("no lease");
      const owned = await Shard.open(store.state, lease, Number.POSITIVE_INFINITY);
      this.#shards.push(owned);
      poller.gained(owned);
    }
  }

  /** Everything is due again. */
  #round(): void {
    this.#clock.hurry(2_000);
    this.#due += this.#options.instances;
    this.#poller?.tick();
  }

  #saw(event: RuntimeEvent): void {
    const counts = this.#counts;
    if (event.kind === "poll.merged") {
      this.#due -= 1;
      counts.merged += 1;
    } else if (event.kind === "poll.finished") {
      this.#due -= 1;
      counts.polls += 1;
      counts.calls += event.calls;
      if (!event.complete && counts.failed++ === 0)
        console.error(`${this.name}: a poll failed:`, event.error);
    } else if (event.kind === "fact" && event.fact.kind === "transition") counts.transitions += 1;
    if (this.#running && this.#due < 2 * this.#options.inFlight) this.#round();
    else if (this.#due === 0) this.#idle?.();
  }
}
