import type { Decision, DecisionInput } from "./decision.ts";
import { announceAfterMaintenance, type Draft, decisionOf, draftOf, edit, tasksOf } from "./draft.ts";
import { expireFailures, isExpired, resolveByLaterSuccess } from "./failures.ts";
import { type Coverage, isPruned, prune, pruneDue } from "./prune.ts";
import { scheduledQuiet, watchScheduled } from "./scheduled.ts";
import { type InstanceRecord, isOpenTask, type TaskState } from "./state.ts";
import { isFinal, newerSighting, type ObservedTask } from "./task.ts";
import { differs, discover, observe, vanish } from "./transitions.ts";
import { applyVerdict, evaluateStuck, repeatDue } from "./verdict.ts";

/**
 * Most open tasks of one instance that a listing may add to. A cloud that invents tasks, or never says that one ended,
 * does not fill the memory. A task that is left out is recorded when it ended: a failure is still told.
 */
export const OPEN_TASKS_CAP = 5000;

/**
 * The decision on one poll of one instance: from what is known and what was seen to what is written and told.
 * A function of its arguments alone. The order of the listing does not matter, and a poll that brings no news
 * allocates next to nothing.
 */
export function decide(input: DecisionInput): Decision {
  const record = timesOf(input);
  if (isQuiet(input)) {
    return { changed: false, record, upserts: [], removals: [], events: [], learned: [], facts: [] };
  }
  const { state, observation, rules, now } = input;
  const { listing } = observation;
  const draft = draftOf(state, rules, now, listing.cloudNow);
  const { name, engine } = rules.instance;
  if (isRenamed(input)) draft.record = { ...draft.record, name, engine };
  for (const { id, problem } of listing.malformed) {
    draft.facts.push({ kind: "malformed", taskId: id, problem });
  }

  const seen = sightings(input);
  takeSightings(draft, input, seen);
  const unread = new Set(listing.malformed.map(({ id }) => id));
  if (listing.complete) {
    for (const task of state.tasks.values()) {
      const gone = observation.lookups.get(task.id)?.kind === "gone";
      if (gone && isOpenTask(task) && !seen.has(task.id) && !unread.has(task.id)) vanish(draft, task);
    }
  }
  takeProgress(draft, input);
  watchScheduled(draft, input, seen);
  if (draft.edits.size > 0) resolveByLaterSuccess(draft);
  expireFailures(draft);
  judgeAll(draft, input, seen);
  for (const task of tasksOf(draft)) announceAfterMaintenance(draft, task);
  if (listing.complete && state.record.baselineAt === null) setBaseline(draft, input);
  // A plan that is still listed must find the task that it became.
  const planned = new Set(draft.record.scheduled.map(({ id }) => id));
  prune(draft, { has: (id) => seen.has(id) || planned.has(id) }, coverageOf(input));

  return decisionOf(draft, { ...draft.record, ...pick(record) });
}

/** Is it called otherwise than when it was written last? Its last events are told by the record alone. */
const isRenamed = ({ state: { record }, rules: { instance } }: DecisionInput): boolean =>
  record.name !== instance.name || record.engine !== instance.engine;

const pick = ({ lastCompleteAt, lastSweepAt }: InstanceRecord) => ({ lastCompleteAt, lastSweepAt });

/**
 * The record with the times that this poll moves. A sweep counts also when its listing was incomplete: if each
 * poll asked anew from `max_lookback`, an instance with too many tasks would never be listed completely again.
 */
function timesOf({ state: { record }, observation }: DecisionInput): InstanceRecord {
  const { listing, deep, startedAt } = observation;
  const swept = deep && (listing.complete || record.baselineAt !== null);
  if (!listing.complete && !swept) return record;
  return {
    ...record,
    lastCompleteAt: listing.complete ? startedAt : record.lastCompleteAt,
    lastSweepAt: swept ? startedAt : record.lastSweepAt,
  };
}

const coverageOf = ({ observation, rules }: DecisionInput): Coverage => ({
  window: rules.window,
  cloudNow: observation.listing.cloudNow,
  complete: observation.listing.complete,
  deep: observation.deep,
});

const YES = [() => true] as const;
const EITHER = [() => true, () => false] as const;

/** True only if `decide` would find nothing to write and nothing to tell. */
function isQuiet(input: DecisionInput): boolean {
  const { state, observation, rules, knowledge, now } = input;
  const { listing, lookups, progress } = observation;
  if (listing.malformed.length > 0 || isRenamed(input)) return false;
  if (listing.complete && state.record.baselineAt === null) return false;
  if (!scheduledQuiet(input)) return false;
  for (const seen of listing.tasks) {
    const known = state.tasks.get(seen.id);
    if (known === undefined ? !isPruned(state.record, seen) : differs(known, seen, rules.privacy))
      return false;
  }
  for (const [id, lookup] of lookups) {
    const known = state.tasks.get(id);
    if (known === undefined || lookup.kind === "unclear") continue;
    if (lookup.kind === "gone" || differs(known, lookup.task, rules.privacy)) return false;
  }
  for (const [id, ratio] of progress) {
    const known = state.tasks.get(id);
    if (known !== undefined && advances(known, ratio)) return false;
  }
  const times = { now, cloudNow: listing.cloudNow };
  for (const task of state.tasks.values()) {
    if (task.muted !== null || isExpired(task, rules.failures.keepOpen, now)) return false;
    if (!isOpenTask(task)) continue;
    if (repeatDue(task, rules.stuck.repeat, now)) return false;
    // Whether this instance itself saw the name go on is looked up only where it could make a difference.
    for (const executed of knowledge.executed(task.name) ? YES : EITHER) {
      const verdict = evaluateStuck(task, rules.stuck, knowledge, executed, times, progress.has(task.id));
      if (verdict?.kind !== task.verdict?.kind) return false;
    }
  }
  return !pruneDue(state.tasks, coverageOf(input));
}

/** Each task that this poll tells of, once, in its newest sighting. */
function sightings({ state, observation }: DecisionInput): ReadonlyMap<string, ObservedTask> {
  const seen = new Map<string, ObservedTask>();
  const take = (task: ObservedTask) => {
    const other = seen.get(task.id);
    seen.set(task.id, other === undefined ? task : newerSighting(other, task));
  };
  for (const task of observation.listing.tasks) take(task);
  for (const [id, lookup] of observation.lookups) {
    if (lookup.kind === "found" && lookup.task.id === id && state.tasks.has(id)) take(lookup.task);
  }
  return seen;
}

function takeSightings(draft: Draft, input: DecisionInput, seen: ReadonlyMap<string, ObservedTask>): void {
  const { state, rules } = input;
  const news: ObservedTask[] = [];
  for (const task of seen.values()) {
    const known = state.tasks.get(task.id);
    if (known === undefined ? !isPruned(state.record, task) : differs(known, task, rules.privacy)) {
      news.push(task);
    }
  }
  news.sort((a, b) => (a.createdAt ?? 0) - (b.createdAt ?? 0) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  const silentBefore = silence(input);
  let open = 0;
  for (const task of state.tasks.values()) if (isOpenTask(task)) open += 1;
  let crowded = false;
  for (const task of news) {
    const known = state.tasks.get(task.id);
    if (known !== undefined) observe(draft, known, task);
    else if (isFinal(task.status)) discover(draft, task, (task.createdAt ?? 0) <= silentBefore);
    else if (open >= OPEN_TASKS_CAP) crowded = true;
    else {
      discover(draft, task, false);
      open += 1;
    }
  }
  if (crowded) draft.facts.push({ kind: "too_many_open", cap: OPEN_TASKS_CAP });
}

/**
 * Up to which creation time ended tasks are recorded without telling: they had ended before the instance was first
 * polled. A first poll that is repeated, because the one before was incomplete, tells of those created since then,
 * or an instance that is never listed completely would fail in silence.
 */
function silence({ state, observation, rules, now, bornWatched }: DecisionInput): number {
  if (state.record.baselineAt !== null || bornWatched || rules.window.firstPoll === "emit") return -Infinity;
  let first = Infinity;
  for (const { seenAt } of state.tasks.values()) first = Math.min(first, seenAt);
  return first + (observation.listing.cloudNow - now);
}

const advances = (task: TaskState, ratio: number): boolean =>
  ratio >= 0 && ratio <= 1 && isOpenTask(task) && (task.progress === null || ratio > task.progress.ratio);

/** Only growth counts: a figure that goes up and down is not progress. */
function takeProgress(draft: Draft, { observation, now }: DecisionInput): void {
  for (const [id, ratio] of observation.progress) {
    const task = draft.edits.get(id) ?? draft.state.tasks.get(id);
    if (task !== undefined && advances(task, ratio)) edit(draft, task).progress = { ratio, since: now };
  }
}

/**
 * Judges the open tasks. One that an incomplete listing does not show may have ended in the part that is missing:
 * nothing new is said of it. After a complete listing it is believed to be open until its id says otherwise.
 */
function judgeAll(draft: Draft, input: DecisionInput, seen: ReadonlyMap<string, ObservedTask>): void {
  const { rules, knowledge, observation } = input;
  let here: Set<string> | null = null;
  const executed = (name: string): boolean => {
    if (knowledge.executed(name)) return true;
    if (here === null) {
      here = new Set();
      for (const task of tasksOf(draft)) if (task.executed) here.add(task.name);
    }
    return here.has(name);
  };
  const open: TaskState[] = [];
  for (const task of tasksOf(draft)) {
    if (isOpenTask(task) && (observation.listing.complete || seen.has(task.id))) open.push(task);
  }
  for (const task of open) {
    const told = observation.progress.has(task.id);
    applyVerdict(draft, task, evaluateStuck(task, rules.stuck, knowledge, executed, draft, told));
  }
}

/** From here on everything is news, but for ended tasks that are older than this poll asked. */
function setBaseline(draft: Draft, { state, observation, now }: DecisionInput): void {
  const { from } = observation.listing.window;
  draft.record = {
    ...draft.record,
    baselineAt: now,
    prunedBefore: Math.max(draft.record.prunedBefore ?? from, from),
  };
  let tasks = 0;
  let open = 0;
  for (const task of tasksOf(draft)) {
    tasks += 1;
    if (isOpenTask(task)) open += 1;
  }
  if (state.record.baselineAt === null) draft.facts.push({ kind: "baseline", tasks, open });
}
