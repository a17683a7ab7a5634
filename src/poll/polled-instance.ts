import type { Streak } from "../core/health.ts";
import { type InstanceState, isOpenTask, type TaskState } from "../core/state.ts";
import { type FollowUps, SCHEDULED_EVERY_MS } from "./follow-up.ts";
import type { Schedule } from "./schedule.ts";
import type { Shard } from "./shard.ts";
import type { InstanceTarget } from "./target.ts";

/** One instance of a shard that is ours: what the rhythm needs to know, and nothing that must survive. */
export class PolledInstance {
  readonly shard: Shard;
  readonly #abort = new AbortController();
  target: InstanceTarget;
  /** Local time of the next due poll. */
  nextDue = 0;
  /** Monotonic time since which a poll is due that waits for the running one; null when none does. */
  dueAgain: number | null = null;
  running = false;
  /** Null before the first poll ended. */
  up: boolean | null = null;
  lastPollAt: number;
  streak: Streak | null = null;
  /** Monotonic time of the first of the polls in a row that said that there is no such instance; null when none did. */
  notFoundSince: number | null = null;
  /** Calls for lookups and progress in the last poll: what the instance needs beside its listings. */
  calls = 0;
  /** Monotonic time of the last poll that asked for the scheduled tasks. */
  #scheduledAt = Number.NEGATIVE_INFINITY;
  /** Throttled polls in a row: the waits grow with it. */
  throttled = 0;
  /** The last answer of `active`, and the state that it is about. */
  #active: {
    readonly tasks: InstanceState["tasks"] | null;
    readonly revision: number;
    readonly is: boolean;
  } = {
    tasks: null,
    revision: 0,
    is: false,
  };

  constructor(target: InstanceTarget, shard: Shard, now: number) {
    this.target = target;
    this.shard = shard;
    this.lastPollAt = now;
    const end = () => this.#abort.abort(shard.signal.reason);
    if (shard.signal.aborted) end();
    else shard.signal.addEventListener("abort", end, { once: true, signal: this.#abort.signal });
  }

  /** Ends the poll that runs; one for the life of the instance here, so that a poll costs no new one. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get state(): InstanceState | undefined {
    return this.shard.peek(this.target.key);
  }

  /** Open tasks that are neither stuck nor acknowledged: somebody waits for their end. Asked several times per poll. */
  get active(): boolean {
    const { state } = this;
    if (!state) return false;
    const { tasks, revision } = state;
    if (this.#active.tasks !== tasks || this.#active.revision !== revision) {
      this.#active = { tasks, revision, is: isActive(tasks.values()) };
    }
    return this.#active.is;
  }

  scheduleAt(now: number): Schedule {
    return scheduleInForce(this.target, this.state?.tasks.values() ?? [], now);
  }

  /** @param startedAt of a poll, monotonic */
  scheduledDue(startedAt: number): boolean {
    // Polls are an interval apart but for a moment more or less, which must not cost a whole interval.
    const due = this.#scheduledAt + SCHEDULED_EVERY_MS * 0.9;
    return this.target.rules.scheduledTasks && startedAt >= due;
  }

  asked({ calls, scheduledAsked }: FollowUps, startedAt: number): void {
    this.calls = calls;
    if (scheduledAsked) this.#scheduledAt = startedAt;
  }

  leave(): void {
    this.#abort.abort(new Error(`${this.target.key} is not watched here any more`));
  }
}

/** Open tasks that are neither stuck nor acknowledged: somebody waits for their end. */
function isActive(tasks: Iterable<TaskState>): boolean {
  for (const task of tasks) {
    if (isOpenTask(task) && !task.verdict && !task.acknowledged) return true;
  }
  return false;
}

/**
 * The schedule in force. `active_schedule` is there to see the end of a task sooner: where the other one is the
 * closer one anyway, it stays in force.
 * @param tasks of the instance; those that ended do no harm
 */
export function scheduleInForce(
  { schedule, activeSchedule }: Pick<InstanceTarget, "schedule" | "activeSchedule">,
  tasks: Iterable<TaskState>,
  now: number,
): Schedule {
  if (activeSchedule === null || activeSchedule.interval(now) >= schedule.interval(now)) return schedule;
  return isActive(tasks) ? activeSchedule : schedule;
}
