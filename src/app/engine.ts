import type { Alerting } from "../alerting/alerting.ts";
import type { Config } from "../config/config.ts";
import type { TaskwatchEvent } from "../core/event.ts";
import type { Rules } from "../core/rules.ts";
import type { InstanceRecord } from "../core/state.ts";
import { OutboxHousekeeping } from "../outbox/housekeeping.ts";
import { WebhookWorkers } from "../outbox/workers.ts";
import { startTicker } from "../platform/ticker.ts";
import { InstanceReaper, LEAVE_GRACE_MS } from "../poll/instance-reaper.ts";
import { Poller } from "../poll/poller.ts";
import { Reachability } from "../poll/reachability.ts";
import { ReplicaCounts } from "../poll/replica-counts.ts";
import type { Shard } from "../poll/shard.ts";
import { ShardKeeper } from "../poll/shard-keeper.ts";
import { type InstanceTarget, type PollProject, projectKey, shardOf } from "../poll/target.ts";
import { TaskNameStatistics } from "../poll/task-name-statistics.ts";
import type { Clock, Random } from "../ports/clock.ts";
import type { Store } from "../ports/store.ts";
import type { Emit } from "../ports/telemetry.ts";
import { createAlerting, snapshotsAfter } from "./alerts.ts";
import type { CleanupStack } from "./cleanup-stack.ts";
import { Gates } from "./gates.ts";
import { type JudgedOptions, judgedPlaceholders, judgedProjects } from "./judged.ts";
import { LeaseTicks } from "./lease-ticks.ts";
import { MaintenanceWatch } from "./maintenance-watch.ts";
import { emitApiDemand, emitThresholds } from "./outlook.ts";
import { withIds } from "./project-ids.ts";
import { type ProjectState, Projects, type WatchedProjects } from "./projects.ts";
import { type CommonRules, commonRules, orphanRules } from "./rules.ts";
import { runEvery } from "./run-every.ts";
import { UnusedNotes } from "./unused-notes.ts";
import type { InstanceViews, LeavingInstance } from "./views.ts";

/** A handover on SIGTERM, and the notice of a command's write, take no longer than this. */
const LEASE_TICK_MS = 500;
/** A tick may last as long as the store is slow; what ran out meanwhile goes at once. */
const EXPIRED_TICK_MS = 250;
const GUARDS_MS = 2_000;
const COUNTS_MS = 5_000;
const DISCOVERY_MS = 2_000;
const PROJECT_IDS_MS = 30_000;
const REPLICA_COUNTS_MS = 2_000;
const NAMES_MS = 30_000;
const ALERTS_MS = 2_000;
const TIME_MS = 5_000;
const FLUSH_MS = 10_000;
const PRUNE_MS = 60_000;
const NOTES_MS = 600_000;

export interface EngineOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: Emit;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  /** Names this process among replicas; another one after each start. */
  readonly member: string;
  readonly views: InstanceViews;
  readonly cleanup: CleanupStack;
  readonly onUnforeseen: (error: unknown, where: string) => void;
}

/** What watches: everything that lives on an open store, and goes on through reloads. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #stop = new AbortController();
  readonly #gates: Gates;
  readonly #projects: Projects;
  readonly #knowledge: TaskNameStatistics;
  readonly #reachability: Reachability;
  readonly #poller: Poller;
  readonly #keeper: ShardKeeper;
  readonly #leases: LeaseTicks;
  readonly #unusedNotes: UnusedNotes;
  readonly #workers: WebhookWorkers;
  readonly #housekeeping: OutboxHousekeeping;
  readonly #alerting: Alerting;
  readonly #instanceReaper: InstanceReaper;
  readonly #maintenance: MaintenanceWatch;
  #config: Config;
  #targets: WatchedProjects = { projects: [], targets: [], placeholders: [] };
  #keys: ReadonlySet<string> = new Set();
  /** By id, also of those that are not watched any more: the last events of their instances name them. */
  readonly #known = new Map<string, PollProject>();
  /** Instances of each project, by its id. */
  #totals: ReadonlyMap<string, number> = new Map();
  #judging = false;
  #common: CommonRules;

  constructor(config: Config, options: EngineOptions) {
    const { store, clock, random, emit, env, version, member } = options;
    this.#config = config;
    this.#options = options;
    this.#common = commonRules(config);
    this.#maintenance = new MaintenanceWatch(emit);
    const committed = (shard: Shard, events: readonly TaskwatchEvent[]) => this.#committed(shard, events);
    this.#gates = new Gates(store, clock, emit);
    this.#projects = new Projects({
      gates: this.#gates,
      notes: store.notes,
      clock,
      emit,
      env,
      onChange: () => this.#retarget(),
    });
    this.#keeper = new ShardKeeper({
      leases: store.leases,
      state: store.state,
      member,
      shards: config.store.shards,
      ttl: config.store.lease,
      clock,
      emit,
      onGained: (shard) => {
        this.#poller.gained(shard);
        this.#workers.wake();
        this.#alerting.gained();
      },
      onLeaving: (shard) => {
        this.#poller.lost(shard);
        this.#alerting.lost(shard.number);
      },
      onLost: (shard) => {
        this.#poller.lost(shard);
        this.#alerting.lost(shard.number);
        this.#workers.lost(shard.number);
      },
      beforeRelease: async (shard) => {
        await this.#workers.idle(shard.number);
        await shard.flush();
      },
    });
    const { shards } = config.store;
    const onChange = () => this.#tellLoad();
    this.#leases = new LeaseTicks({ ...options, keeper: this.#keeper, shards, onChange });
    this.#unusedNotes = new UnusedNotes(store.notes, clock);
    const owned = () => this.#keeper.owned.values();
    const leases = () => [...owned()].map((shard) => shard.lease);
    this.#knowledge = new TaskNameStatistics(owned);
    const replicaCounts = new ReplicaCounts({
      notes: store.notes,
      member,
      members: () => this.#keeper.members,
    });
    this.#reachability = new Reachability({ emit, replicaCounts, committed });
    this.#poller = new Poller({
      clock,
      random,
      emit,
      knowledge: this.#knowledge,
      reach: this.#reachability,
      concurrency: config.poll.concurrency,
      committed,
      onNotFound: (target) => this.#hasLeft(target),
    });
    this.#workers = new WebhookWorkers({
      outbox: store.outbox,
      notes: store.notes,
      clock,
      random,
      leases,
      stillMine: (lease) => this.#keeper.stillMine(lease),
      emit: (fact) => emit({ kind: "outbox", fact }),
      version,
    });
    this.#housekeeping = new OutboxHousekeeping({
      outbox: store.outbox,
      clock,
      leases,
      emit,
      untaken: () => this.#alerting.untaken(),
    });
    this.#alerting = createAlerting(options, {
      shards: config.store.shards,
      keeper: this.#keeper,
      watched: () => this.#poller.watched,
    });
    this.#instanceReaper = new InstanceReaper({
      wanted: (key) => this.#keys.has(key),
      settled: (projectId) => this.#projects.settled(projectId),
      rulesOf: (record) => this.#rulesOf(record),
      committed,
      onLeaving: (records) =>
        emit({
          kind: "instances.leaving",
          names: records.map(({ name }) => name),
          graceSeconds: LEAVE_GRACE_MS / 1_000,
        }),
      onRemoved: (key, record) => this.#removed(key, record),
    });
  }

  get watched() {
    return this.#poller.watched;
  }

  /** Instances of the shards that are ours that were left out of the configuration. */
  *leaving(): Generator<LeavingInstance, void, undefined> {
    for (const [key, leaving] of this.#instanceReaper.leaving) {
      const { projectId } = leaving.record;
      const project = this.#known.get(projectId) ?? { name: projectId, region: "" };
      if (!this.#keys.has(key) && this.#keeper.owned.get(leaving.shard.number) === leaving.shard)
        yield { key, ...leaving, project };
    }
  }

  /** All that is to be watched, by whatever replica. */
  get targets() {
    return this.#targets;
  }

  /** With the ids of projects that were looked up. */
  get config(): Config {
    return withIds(this.#config, new Map(this.#targets.projects.map(({ name, id }) => [name, id])));
  }

  get knowledge(): TaskNameStatistics {
    return this.#knowledge;
  }

  /** How the watch of each configured project stands. */
  projectStates(): readonly ProjectState[] {
    return this.#projects.states();
  }

  get shardsOwned(): number {
    return this.#keeper.owned.size;
  }

  /** Replicas that are alive, this one among them; empty before the first look. */
  get replicas(): readonly string[] {
    return this.#keeper.members;
  }

  webhooks() {
    return [...this.#workers.status(), ...this.#alerting.status()];
  }

  /** Of each webhook of format alertmanager: what no Alertmanager has taken from this replica. */
  untakenAlerts() {
    return this.#alerting.untaken();
  }

  /** What throws, `UsageError` for one, may have been applied in part: then the one before is to be applied again. */
  apply(config: Config): void {
    this.#workers.apply(config.webhooks);
    this.#housekeeping.apply(config.webhooks);
    this.#config = config;
    this.#common = commonRules(config);
    this.#maintenance.apply(config, this.#common);
    this.#poller.setConcurrency(config.poll.concurrency);
    this.#projects.apply(config);
    this.#alerting.apply(config);
  }

  start(): void {
    const { clock, cleanup, onUnforeseen } = this.#options;
    const { signal } = this.#stop;
    const periodic = (where: string, ms: number, run: () => Promise<unknown> | unknown) =>
      void runEvery(ms, clock, signal, run, (error) => onUnforeseen(error, where));
    cleanup.defer("projects", () => this.#projects.close());
    const leasing = new AbortController();
    let givenBack: Promise<void> = Promise.resolve();
    cleanup.defer("leases", () => givenBack.finally(() => leasing.abort()));
    void runEvery(
      LEASE_TICK_MS,
      clock,
      leasing.signal,
      () => this.#leases.tick(),
      (error) => onUnforeseen(error, "leases"),
    );
    periodic("leases", EXPIRED_TICK_MS, () => this.#keeper.dropExpired());
    cleanup.defer("deliveries", async () => {
      // Each shard goes as soon as nothing of it is in flight; a slow receiver holds up its own shards alone.
      givenBack = this.#keeper.stop();
      givenBack.catch(() => {});
      const { stop_timeout } = this.#config.server;
      await Promise.all([this.#workers.stop(stop_timeout), this.#alerting.stop(stop_timeout)]);
    });
    cleanup.defer("polls", () => {
      this.#stop.abort(new Error("stopping"));
      this.#poller.stop();
    });
    startTicker(clock, () => this.#tick(), signal);
    periodic("credentials", GUARDS_MS, () => this.#gates.refresh());
    periodic("counts", COUNTS_MS, () => this.#count());
    periodic("project ids", PROJECT_IDS_MS, () => this.#projects.remember());
    periodic("discovery", DISCOVERY_MS, () => this.#projects.discover((id) => this.#home(id) !== undefined));
    periodic("replicaCounts", REPLICA_COUNTS_MS, () =>
      this.#reachability.exchange(judgedProjects(this.#toJudge()), this.#poller.watched, clock.now()),
    );
    periodic("alerts", ALERTS_MS, () => {
      this.#alerting.sync();
      return this.#alerting.restore();
    });
    periodic("names", NAMES_MS, () => this.#readNames());
    periodic("time", TIME_MS, () => this.#reachability.expire(this.#poller.watched, clock.now()));
    periodic("flush", FLUSH_MS, () => this.#flush());
    periodic("prune", PRUNE_MS, () => this.#prune());
    periodic("notes", NOTES_MS, () =>
      this.#unusedNotes.sweep({ config: this.#config, projectIds: this.#projects.ids }),
    );
  }

  #tick(): void {
    this.#maintenance.look(this.#options.clock.now());
    this.#poller.tick();
    if (this.#judging) return;
    this.#judging = true;
    this.#judge()
      .catch((error) => this.#options.onUnforeseen(error, "reachability"))
      .finally(() => {
        this.#judging = false;
      });
  }

  async #judge(): Promise<void> {
    const now = this.#options.clock.now();
    const toJudge = this.#toJudge();
    const judged = [...judgedProjects(toJudge), ...judgedPlaceholders(toJudge)];
    await this.#reachability.judgeProjects(judged, this.#poller.watched, now);
    await this.#instanceReaper.run(this.#keeper.owned.values(), now, this.#options.clock.monotonic());
  }

  #toJudge(): JudgedOptions {
    const home = (projectId: string) => this.#home(projectId);
    return { watched: this.#targets, states: this.#projects.states(), totals: this.#totals, home };
  }

  /** The shard that holds the project's own record, if it is ours. */
  #home(projectId: string): Shard | undefined {
    return this.#keeper.owned.get(shardOf(projectKey(projectId), this.#config.store.shards));
  }

  #retarget(): void {
    this.#targets = this.#projects.watched();
    this.#keys = new Set(this.#targets.targets.map((target) => target.key));
    for (const project of this.#targets.projects) this.#known.set(project.id, project);
    const byProject = Map.groupBy(this.#targets.targets, (target) => target.project.id);
    this.#totals = new Map([...byProject].map(([id, targets]) => [id, targets.length]));
    this.#poller.setTargets(this.#targets.projects, this.#targets.targets);
    this.#tellLoad();
  }

  #committed(shard: Shard, events: readonly TaskwatchEvent[]): void {
    for (const { type, id } of events) this.#options.emit({ kind: "event.committed", type, id });
    this.#workers.wake(shard.number, new Set(events.flatMap((event) => event.webhooks)));
    for (const snapshot of snapshotsAfter(shard, events)) this.#alerting.changed(snapshot);
  }

  /** For an instance that leaves. */
  #rulesOf(record: InstanceRecord): Rules {
    return orphanRules(this.#config, record, this.#known.get(record.projectId) ?? null);
  }

  /** Removes a discovered instance at once when neither the instance list nor its own call knows it. */
  async #hasLeft({ key, project, instanceId }: InstanceTarget): Promise<boolean> {
    const left = await this.#projects.gone(project.name, instanceId);
    if (left) this.#instanceReaper.gone(key);
    return left;
  }

  #removed(key: string, record: InstanceRecord): void {
    const { emit, views, clock } = this.#options;
    const { project } = this.#rulesOf(record);
    views.removed(key, project, record, clock.now());
    emit({
      kind: "instance.removed",
      project: project.name,
      instanceId: record.instanceId,
      instanceName: record.name,
      reason: record.discovered
        ? "it is neither listed nor configured any more"
        : "it is not configured any more",
    });
  }

  async #count(): Promise<void> {
    const { clock, emit } = this.#options;
    this.#projects.report();
    await this.#housekeeping.count();
    await this.#leases.tellUnreadable();
    this.#tellLoad();
    emitThresholds(this.#config, this.#common, this.#targets.projects, this.#knowledge, clock.now(), emit);
  }

  #tellLoad(): void {
    const { emit, clock } = this.#options;
    emitApiDemand(this.#targets.projects, this.#poller.watched, clock.now(), emit);
  }

  /** What the shards of other replicas have learned. */
  async #readNames(): Promise<void> {
    const alone = this.#keeper.owned.size === this.#config.store.shards;
    this.#knowledge.setOthers(alone ? [] : await this.#options.store.reader.names());
  }

  async #flush(): Promise<void> {
    for (const shard of this.#keeper.owned.values()) await shard.flush();
  }

  #prune(): Promise<void> {
    return this.#housekeeping.prune(this.#options.clock.now() - this.#config.store.keep_events);
  }
}
