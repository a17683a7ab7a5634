import { type Cause, type CloudAnswer, INSTANCE_ONLY_CAUSES } from "./cause.ts";
import { countOccurrence } from "./counts.ts";
import { type EventDetail, instanceData, iso, projectData } from "./data.ts";
import { mutedUntilOf } from "./draft.ts";
import { type EventData, type EventType, eventId, type TaskwatchEvent } from "./event.ts";
import { humanDuration } from "./reason.ts";
import { route } from "./routing.ts";
import type { Rules } from "./rules.ts";
import type { InstanceRecord, MutedOpening, Unreachable } from "./state.ts";
import type { Unwatched } from "./unwatched.ts";

/** Polls of one instance that failed in a row up to now. */
export interface Streak {
  readonly count: number;
  /** Local time of the first of them. */
  readonly since: number;
  /** Of the last one. */
  readonly cause: Cause;
  readonly answer: CloudAnswer | null;
}

/** The record to go on with; it and the events are written together when `changed`. */
export interface HealthDecision {
  readonly changed: boolean;
  readonly record: InstanceRecord;
  readonly events: readonly TaskwatchEvent[];
}

const POLLS = 3;
const PATIENCE = 120_000;

/** Three polls in a row failed, and two minutes. A clock that went back since must not delay it. */
export const isDown = (streak: Streak | null, now: number): streak is Streak =>
  streak !== null && streak.count >= POLLS && Math.abs(now - streak.since) >= PATIENCE;

/**
 * Reachability of one instance after a poll, or by time alone. `streak` is null after a poll that gave a listing.
 * `projectDown`: the project is unreachable or about to be (`ProjectTally.near`): the instance then says nothing of
 * its own, but it does say the end of what it had said before. Another cause while it is down is no news.
 */
export function instanceHealth(
  record: InstanceRecord,
  rules: Rules,
  streak: Streak | null,
  projectDown: boolean,
  now: number,
): HealthDecision {
  const scope: Scope = { kind: "instance", rules, now };
  if (streak === null) return recover(record, scope, "the instance answers again");
  if (record.unreachable !== null) return projectDown ? unchanged(record) : release(record, scope);
  if (projectDown || !isDown(streak, now)) return unchanged(record);
  const reason = `${streak.count} polls in a row failed: ${streak.cause}`;
  return fall(record, scope, streak, reason);
}

/** By time alone: sends the unreachability of an instance that maintenance held back, once the window is over. */
export const releaseInstance = (record: InstanceRecord, rules: Rules, now: number): HealthDecision =>
  release(record, { kind: "instance", rules, now });

/** How the instances of one project fare. */
export interface ProjectHealthCounts {
  readonly total: number;
  /** How many are down (`isDown`), by cause. */
  readonly failingByCause: ReadonlyMap<Cause, number>;
  readonly credentialsRefused: boolean;
}

/** What makes a whole project unreachable; null for nothing. */
export function projectCause({
  total,
  failingByCause,
  credentialsRefused,
}: ProjectHealthCounts): Cause | null {
  if (credentialsRefused) return "credentials_rejected";
  let worst: Cause | null = null;
  let most = 0;
  for (const [cause, failing] of failingByCause) {
    if (INSTANCE_ONLY_CAUSES.has(cause) || failing < 3 || failing * 2 <= total) continue;
    // More than half can be of one cause only, but a caller's counts may be from different moments.
    if (failing > most) [worst, most] = [cause, failing];
  }
  return worst;
}

/** How some instances of a project fare: those of one replica. */
export interface ProjectCounts {
  /** Of the last poll of each. */
  readonly answering: number;
  /** How many fail, by cause, and how many of these are down (`isDown`). */
  readonly failing: ReadonlyMap<Cause, number>;
  readonly down: ReadonlyMap<Cause, number>;
}

/**
 * Counts how instances fare after the last poll of each. `up` is null before the first poll ended: nothing is known of
 * that instance.
 * @param silence The calls of the whole project that timed out in a row; null while it answers. It then counts for
 *   every instance: those that were not polled since wait behind the probes of a project that answers nobody.
 */
export function countInstances(
  instances: Iterable<{ readonly up: boolean | null; readonly streak: Streak | null }>,
  now: number,
  silence: Streak | null = null,
): ProjectCounts {
  let answering = 0;
  const failing = new Map<Cause, number>();
  const down = new Map<Cause, number>();
  for (const { up, streak: own } of instances) {
    const streak = silence ?? own;
    if (streak === null) answering += up === null ? 0 : 1;
    else {
      failing.set(streak.cause, (failing.get(streak.cause) ?? 0) + 1);
      if (isDown(streak, now)) down.set(streak.cause, (down.get(streak.cause) ?? 0) + 1);
    }
  }
  return { answering, failing, down };
}

/**
 * Adds up what the replicas count in a project of `total` instances. `tally` counts those that are down; of a project
 * that is unreachable already, all that fail, since a start or takeover begins every streak anew, and those of which
 * nothing is known are taken to fail as it did, until they answer. `near` says that the project is on its way there by
 * what fails: its instances then wait with news of their own, so that the first three do not tell what the project is
 * about to tell for all.
 */
export function sumProject(
  counts: Iterable<ProjectCounts>,
  total: number,
  credentialsRefused: boolean,
  unreachable: Unreachable | null,
): { readonly tally: ProjectHealthCounts; readonly near: boolean } {
  let known = 0;
  const down = new Map<Cause, number>();
  const failing = new Map<Cause, number>();
  for (const each of counts) {
    known += each.answering;
    for (const [cause, count] of each.failing) {
      known += count;
      failing.set(cause, (failing.get(cause) ?? 0) + count);
    }
    for (const [cause, count] of each.down) down.set(cause, (down.get(cause) ?? 0) + count);
  }
  if (unreachable && total > known) {
    const { cause } = unreachable;
    failing.set(cause, (failing.get(cause) ?? 0) + total - known);
  }
  // While replicas reload or hand over, they may count more instances than there are.
  const all = { total: Math.max(total, known), credentialsRefused };
  return {
    tally: { ...all, failingByCause: unreachable ? failing : down },
    near: projectCause({ ...all, failingByCause: failing }) !== null,
  };
}

/** What the health of a project needs of the rules. `mutedUntil` judges windows that match the project as a whole. */
export type ProjectRules = Pick<Rules, "project" | "webhooks" | "externalUrl" | "mutedUntil">;

/**
 * Reachability of a project. `record` is that of its pseudo-instance, whose `instanceId` is empty. `answers`: for each
 * cause, an answer that gave it; those that only other replicas got are missing.
 * A project that is not watched is unreachable once that is confirmed, and stays so until it is watched.
 */
export function projectHealth(
  record: InstanceRecord,
  rules: ProjectRules,
  tally: ProjectHealthCounts,
  answers: ReadonlyMap<Cause, CloudAnswer>,
  unwatched: Unwatched | null,
  now: number,
): HealthDecision {
  const scope: Scope = { kind: "project", rules, now };
  const cause = projectCause(tally);
  if (cause === null && unwatched === null) return recover(record, scope, "the project answers again");
  if (record.unreachable !== null) return release(record, scope);
  if (cause === null) {
    if (!unwatched?.confirmed || unwatched.cause === null) return unchanged(record);
    const { cause: why, answer, since, reason } = unwatched;
    return fall(record, scope, { cause: why, answer, since }, `not watched: ${reason}`);
  }
  const failing = tally.failingByCause.get(cause) ?? 0;
  const reason =
    cause === "credentials_rejected"
      ? "the credentials are refused"
      : `${failing} of ${tally.total} instances fail: ${cause}`;
  return fall(record, scope, { cause, answer: answers.get(cause) ?? null, since: now }, reason);
}

type Scope =
  | { readonly kind: "instance"; readonly rules: Rules; readonly now: number }
  | { readonly kind: "project"; readonly rules: ProjectRules; readonly now: number };

const unchanged = (record: InstanceRecord): HealthDecision => ({ changed: false, record, events: [] });

const dataOf = (scope: Scope, detail: EventDetail): EventData =>
  scope.kind === "instance" ? instanceData(scope.rules, detail) : projectData(scope.rules, detail);

function make(
  record: InstanceRecord,
  scope: Scope,
  word: "unreachable" | "reachable",
  detail: EventDetail,
  informed: readonly string[] = [],
): { readonly counts: InstanceRecord["counts"]; readonly event: TaskwatchEvent } {
  const type = `${scope.kind}.${word}` as const satisfies EventType;
  const { counts, happening, occurrence } = countOccurrence(record.counts, `${word}:${scope.kind}`);
  const id = eventId(record.projectId, record.instanceId, "", happening, occurrence, record.removals);
  const data = dataOf(scope, detail);
  const webhooks = route(scope.rules.webhooks, { type, data }, informed);
  return { counts, event: { id, type, time: scope.now, data, webhooks } };
}

/** Why and since when, as events tell it. */
const causeDetail = ({ cause, answer, since }: Omit<Streak, "count">) => ({
  cause,
  error_code: answer?.errorCode ?? null,
  request_id: answer?.requestId ?? null,
  since: iso(since),
});

function fall(
  record: InstanceRecord,
  scope: Scope,
  { cause, answer, since }: Omit<Streak, "count">,
  reason: string,
): HealthDecision {
  const until = scope.rules.mutedUntil(scope.now, null);
  const { counts, event } = make(record, scope, "unreachable", {
    reason,
    ...causeDetail({ cause, answer, since }),
    muted: until !== null,
  });
  const muted: MutedOpening | null =
    until === null ? null : { eventId: event.id, sequence: 0, until, announced: null };
  const unreachable: Unreachable = { since, at: scope.now, cause, answer, informed: event.webhooks, muted };
  return { changed: true, record: { ...record, counts, unreachable }, events: [event] };
}

/** The end of what maintenance never let out is recorded only. */
function recover(record: InstanceRecord, scope: Scope, reason: string): HealthDecision {
  const { unreachable } = record;
  if (unreachable === null) return unchanged(record);
  const { since, informed, muted } = unreachable;
  const { counts, event } = make(
    record,
    scope,
    "reachable",
    {
      reason: `${reason}, after ${humanDuration((scope.now - since) / 1000)}`,
      ...causeDetail(unreachable),
      muted: muted !== null,
    },
    informed,
  );
  return { changed: true, record: { ...record, counts, unreachable: null }, events: [event] };
}

/** Sends the opening that maintenance held back, under its own id, once the window is over. */
function release(record: InstanceRecord, scope: Scope): HealthDecision {
  const { unreachable } = record;
  if (unreachable === null || unreachable.muted === null) return unchanged(record);
  const { muted, cause } = unreachable;
  const until = scope.rules.mutedUntil(scope.now, null);
  if (until !== null) {
    if (until <= muted.until) return unchanged(record);
    return {
      changed: true,
      record: { ...record, unreachable: { ...unreachable, muted: { ...muted, until } } },
      events: [],
    };
  }
  const type = `${scope.kind}.unreachable` as const satisfies EventType;
  const data = dataOf(scope, {
    reason: `still unreachable (${cause}) after maintenance`,
    ...causeDetail(unreachable),
    muted_until: mutedUntilOf(muted, scope.now),
  });
  const webhooks = route(scope.rules.webhooks, { type, data });
  return {
    changed: true,
    record: { ...record, unreachable: { ...unreachable, informed: webhooks, muted: null } },
    events: [{ id: muted.eventId, type, time: scope.now, data, webhooks }],
  };
}
