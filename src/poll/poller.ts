import { backoff } from "../core/backoff.ts";
import type { Cause, CloudAnswer } from "../core/cause.ts";
import type { TaskwatchEvent } from "../core/event.ts";
import { discoverInstance } from "../core/membership.ts";
import { CloudError, StoreError } from "../errors.ts";
import type { Clock, Random } from "../ports/clock.ts";
import type { Emit } from "../ports/telemetry.ts";
import { type CycleResult, pollOnce } from "./cycle.ts";
import { PollSlots, type ProjectSlots } from "./poll-slots.ts";
import { PolledInstance } from "./polled-instance.ts";
import { ProjectPolls, type StartPoll } from "./project-polls.ts";
import type { Reachability } from "./reachability.ts";
import type { Shard } from "./shard.ts";
import { type InstanceTarget, newRecord, type PollProject, targetNames } from "./target.ts";
import type { TaskNameStatistics } from "./task-name-statistics.ts";
import { commitDecision } from "./writer.ts";

/** A second of tick, and some: polls due within it are released at their own time. */
const HORIZON_MS = 1_000;
/** A wall clock that moved by more than this against the monotonic one was set, and did not just drift. */
const JUMP_MS = 2_000;
/** Waits of an instance that was throttled, by how often in a row. */
const THROTTLE_WAIT = { min: 5_000, max: 15 * 60_000 };

export interface PollerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: Emit;
  readonly knowledge: TaskNameStatistics;
  readonly reach: Reachability;
  /** Polls in flight at once, over all projects. */
  readonly concurrency: number;
  /** Called after each commit with events: deliveries may be due. */
  readonly committed: (shard: Shard, events: readonly TaskwatchEvent[]) => void;
  /**
   * Called when a discovered instance's own 404 was read on two polls an interval apart. Resolves with true when it has
   * left, and false while the instance list still shows it.
   */
  readonly onNotFound: (target: InstanceTarget) => Promise<boolean>;
}

interface RunningProject {
  readonly polls: ProjectPolls;
  readonly slots: ProjectSlots;
  readonly stop: AbortController;
}

/** The rhythm: knows when each instance of our shards is due, and polls it, once at a time, within all limits. */
export class Poller {
  readonly #options: PollerOptions;
  readonly #slots: PollSlots;
  readonly #stop = new AbortController();
  readonly #shards = new Map<number, Shard>();
  readonly #watched = new Map<string, PolledInstance>();
  readonly #projects = new Map<string, RunningProject>();
  #targets = new Map<string, InstanceTarget>();
  #lastTick: { readonly wall: number; readonly monotonic: number };

  constructor(options: PollerOptions) {
    this.#options = options;
    this.#slots = new PollSlots(options.concurrency);
    this.#lastTick = this.#time();
  }

  get watched(): Iterable<PolledInstance> {
    return this.#watched.values();
  }

  setConcurrency(limit: number): void {
    this.#slots.setLimit(limit);
  }

  /** What is to be watched from now on, over all shards. Polls of what stays go on as they were. */
  setTargets(projects: readonly PollProject[], targets: readonly InstanceTarget[]): void {
    this.#setProjects(projects);
    this.#targets = new Map(targets.map((target) => [target.key, target]));
    for (const [key, watched] of this.#watched) {
      const target = this.#targets.get(key);
      if (!target) this.#unwatch(watched);
      else {
        const now = this.#options.clock.now();
        const before = watched.scheduleAt(now).name;
        watched.target = target;
        if (watched.scheduleAt(now).name !== before) watched.nextDue = this.#nextDue(watched, now);
      }
    }
    this.#watchNew();
  }

  gained(shard: Shard): void {
    this.#shards.set(shard.number, shard);
    this.#watchNew();
  }

  lost(shard: Shard): void {
    this.#shards.delete(shard.number);
    for (const watched of this.#watched.values()) if (watched.shard === shard) this.#unwatch(watched);
  }

  /** Once a second. */
  tick(): void {
    const { wall, monotonic } = this.#time();
    const moved = wall - this.#lastTick.wall - (monotonic - this.#lastTick.monotonic);
    this.#lastTick = { wall, monotonic };
    if (Math.abs(moved) > JUMP_MS) {
      // Due times of the old clock are either all past or hours away: begin anew by the clock as it is.
      for (const watched of this.#watched.values()) watched.nextDue = this.#nextDue(watched, wall);
    }
    // From here on by the monotonic clock: the other one may be set before they are released.
    const due: { watched: PolledInstance; dueAt: number }[] = [];
    for (const watched of this.#watched.values()) {
      if (watched.nextDue >= wall + HORIZON_MS) continue;
      const late = Math.min(wall - watched.nextDue, Number.MAX_SAFE_INTEGER);
      due.push({ watched, dueAt: monotonic - late });
      watched.nextDue = this.#nextDue(watched, Math.max(watched.nextDue, wall));
    }
    if (due.length > 0) void this.#release(due.sort((a, b) => a.dueAt - b.dueAt));
  }

  /** Ends all polls; resolves when none runs. Shards are ended by whoever owns them. */
  stop(): void {
    this.#stop.abort(new Error("stopping"));
    for (const watched of this.#watched.values()) watched.leave();
  }

  #setProjects(projects: readonly PollProject[]): void {
    const wanted = new Map(projects.map((project) => [project.id, project]));
    for (const [id, running] of this.#projects) {
      const project = wanted.get(id);
      if (project) running.polls.project = project;
      else {
        running.stop.abort(new Error(`project ${id} is not watched any more`));
        this.#slots.remove(running.slots);
        this.#projects.delete(id);
      }
    }
    for (const project of projects) {
      if (this.#projects.has(project.id)) continue;
      const slots = this.#slots.add();
      const polls = new ProjectPolls(project, slots, this.#options.clock, (due) => this.#poll(due));
      const stop = new AbortController();
      this.#projects.set(project.id, { polls, slots, stop });
      void polls.run(AbortSignal.any([stop.signal, this.#stop.signal]));
    }
  }

  #watchNew(): void {
    const now = this.#options.clock.now();
    const fresh: PolledInstance[] = [];
    for (const target of this.#targets.values()) {
      const shard = this.#shards.get(target.shard);
      if (!shard || this.#watched.has(target.key)) continue;
      const watched = new PolledInstance(target, shard, now);
      this.#watched.set(target.key, watched);
      const last = watched.state?.record.lastCompleteAt ?? null;
      // Missed while nobody polled it: due at once. A clock that was set back makes `last` lie ahead.
      if (last !== null && last <= now) watched.nextDue = this.#nextDue(watched, last);
      else fresh.push(watched);
    }
    for (const watched of fresh) {
      const { project, share, schedule } = watched.target;
      const asFastAsAllowed = (fresh.length / project.gate.pacer.rate) * 1_000;
      watched.nextDue = now + share * Math.min(schedule.interval(now), asFastAsAllowed);
    }
  }

  #unwatch(watched: PolledInstance): void {
    const { key, project } = watched.target;
    watched.leave();
    this.#watched.delete(key);
    this.#projects.get(project.id)?.polls.queue.remove(key);
  }

  #nextDue(watched: PolledInstance, after: number): number {
    return watched.scheduleAt(after).nextSpread(after, watched.target.share);
  }

  async #release(
    due: readonly { readonly watched: PolledInstance; readonly dueAt: number }[],
  ): Promise<void> {
    const { clock } = this.#options;
    for (const { watched, dueAt } of due) {
      // Timers fire early, too: a poll that ended before its due time would be due at it once more.
      for (let wait = dueAt - clock.monotonic(); wait > 0; wait = dueAt - clock.monotonic()) {
        await clock.sleep(wait, this.#stop.signal).catch(() => {});
        if (this.#stop.signal.aborted) return;
      }
      this.#due(watched, dueAt);
    }
  }

  /** An instance has at most one due poll: a later tick merges into it, and its lag counts from the first. */
  #due(watched: PolledInstance, dueAt: number): void {
    const { target } = watched;
    if (this.#watched.get(target.key) !== watched) return;
    const polls = this.#projects.get(target.project.id)?.polls;
    let merged = false;
    if (!watched.running) merged = !polls?.add(target.key, dueAt, watched.active);
    else if (watched.dueAgain === null) watched.dueAgain = dueAt;
    else merged = true;
    if (merged) this.#options.emit({ kind: "poll.merged", ...targetNames(target) });
  }

  /** Never rejects: what nobody foresaw is a failure of this poll, told and counted, and the rhythm goes on. */
  async #poll({ key, dueAt, paidAt }: Parameters<StartPoll>[0]): Promise<boolean> {
    const watched = this.#watched.get(key);
    if (!watched || watched.signal.aborted) return true;
    const { clock, emit, knowledge } = this.#options;
    const { target, shard, signal } = watched;
    const started = clock.monotonic();
    const leave = shard.enter();
    watched.running = true;
    let result: CycleResult | null = null;
    let failure: unknown = null;
    try {
      const active = watched.active;
      try {
        target.project.gate.prepay(signal, paidAt);
        if (target.announce && !watched.state) await this.#announce(watched);
        const known = knowledge.of(target.project.id, target.rules.stuck.learn);
        result = await pollOnce(target, shard, known, clock, watched.scheduledDue(started), signal);
        watched.asked(result.asked, started);
        this.#tell(watched, result);
      } catch (error) {
        failure = error;
      }
      const polls = this.#projects.get(target.project.id)?.polls;
      if (!signal.aborted) polls?.queue.spentMore(active, callsOf(result) - 1);
      const judging = signal.aborted ? null : this.#afterwards(watched, { result, failure });
      if (judging) await judging;
    } catch (error) {
      failure ??= error;
    } finally {
      watched.running = false;
      leave();
    }
    const trouble = troubleOf({ result, failure });
    const answered = trouble?.cause !== "timeout";
    if (signal.aborted) return answered;
    emit({
      kind: "poll.finished",
      ...targetNames(target),
      seconds: (clock.monotonic() - started) / 1_000,
      lagSeconds: Math.max(0, started - dueAt) / 1_000,
      complete: trouble === null,
      cause: trouble?.cause ?? null,
      error: trouble?.error,
      calls: callsOf(result),
      countedMore: result?.listing.countedMore ?? false,
    });
    // What fell due meanwhile waits as well.
    if (watched.throttled > 0) watched.dueAgain = null;
    if (watched.dueAgain !== null) {
      const again = watched.dueAgain;
      watched.dueAgain = null;
      this.#due(watched, again);
    }
    return answered;
  }

  /**
   * What a poll means for the health of its instance, and for when it is polled next. Null where that is all, as
   * after nearly every poll.
   */
  #afterwards(watched: PolledInstance, ended: Ended): Promise<void> | null {
    const { clock, random, reach } = this.#options;
    const { result, failure } = ended;
    const now = clock.now();
    // A store that does not answer says nothing about the instance.
    if (failure instanceof StoreError || result?.kind === "fenced") return null;
    watched.lastPollAt = now;
    const trouble = troubleOf(ended);
    watched.up = trouble === null;
    if (trouble === null) watched.streak = null;
    else {
      const { count = 0, since = now } = watched.streak ?? {};
      const { cause, answer } = trouble;
      watched.streak = { count: count + 1, since, cause: cause ?? "bad_response", answer };
    }
    const throttled =
      trouble?.cause === "throttled" ||
      result?.asked.failures.some(({ error }) => error.reason === "throttled");
    watched.throttled = throttled ? watched.throttled + 1 : 0;
    watched.nextDue = this.#nextDue(watched, now);
    if (watched.throttled > 0) {
      const wait = THROTTLE_WAIT.min + backoff(watched.throttled, THROTTLE_WAIT, random());
      watched.nextDue = Math.max(watched.nextDue, now + wait);
    }
    if (watched.streak?.cause !== "not_found") watched.notFoundSince = null;
    return reach.concerns(watched) ? this.#judge(watched, failure, now) : null;
  }

  async #judge(watched: PolledInstance, failure: unknown, now: number): Promise<void> {
    const { streak, target } = watched;
    if (streak?.cause === "not_found" && target.discovered && (await this.#hasLeft(watched, now))) return;
    await this.#options.reach.judge(watched, failure, now);
  }

  async #announce({ target, shard }: PolledInstance): Promise<void> {
    const { clock, committed } = this.#options;
    const record = newRecord(target.project.id, target.rules.instance, {
      discovered: true,
      removals: await shard.removals(target.key),
    });
    const state = { record, revision: 0, tasks: new Map() };
    const decision = discoverInstance(state, target.rules, clock.now());
    if ((await commitDecision(shard, target.key, state, decision)) === "ok")
      committed(shard, decision.events);
  }

  /** A discovered instance may have left when its own 404 was read on two polls, an interval apart. */
  async #hasLeft(watched: PolledInstance, now: number): Promise<boolean> {
    const monotonic = this.#options.clock.monotonic();
    watched.notFoundSince ??= monotonic;
    // Two polls are less than an interval apart when the first one was late.
    if (monotonic - watched.notFoundSince < watched.scheduleAt(now).interval(now) / 2) return false;
    return this.#options.onNotFound(watched.target);
  }

  #tell({ target, shard }: PolledInstance, { decision, outage, asked }: CycleResult): void {
    const { emit, committed } = this.#options;
    for (const each of asked.failures) emit({ kind: "ask.failed", ...targetNames(target), ...each });
    for (const operation of asked.answered) emit({ kind: "ask.answered", ...targetNames(target), operation });
    if (outage) emit({ kind: "fact", ...targetNames(target), fact: { kind: "outage", ...outage } });
    for (const fact of decision?.facts ?? []) emit({ kind: "fact", ...targetNames(target), fact });
    if (decision && decision.events.length > 0) committed(shard, decision.events);
  }

  #time(): { wall: number; monotonic: number } {
    return { wall: this.#options.clock.now(), monotonic: this.#options.clock.monotonic() };
  }
}

/** How a poll ended: what it saw, and what went wrong before, in it or after it; null for nothing. */
interface Ended {
  readonly result: CycleResult | null;
  readonly failure: unknown;
}

/** Requests made. */
const callsOf = (result: CycleResult | null): number =>
  1 + (result?.asked.calls ?? 0) + (result?.asked.scheduledAsked ? 1 : 0);

interface Trouble {
  /** Null for what is not the cloud's. */
  readonly cause: Cause | null;
  readonly answer: CloudAnswer | null;
  readonly error: unknown;
}

/** Why a poll is no success; null if it is one. */
function troubleOf({ result, failure }: Ended): Trouble | null {
  if (!result || failure !== null) return troubleBy(failure);
  const { listing, asked } = result;
  if (!listing.complete) return { cause: listing.cause, answer: listing.answer, error: listing.gap };
  // An open task that the listing does not show is known by its id alone.
  const missed = asked.failures.find(({ operation }) => operation === "show_task");
  return missed ? troubleBy(missed.error) : null;
}

const troubleBy = (error: unknown): Trouble =>
  error instanceof CloudError
    ? { cause: error.reason, answer: error.answer, error }
    : { cause: null, answer: null, error };
