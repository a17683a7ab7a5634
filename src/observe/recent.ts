import type { InstanceRecord } from "../core/state.ts";

/** How long a count that fell to 0 is still shown, so that Prometheus sees the fall; and how long a removed instance stays. */
export const SHOWN_AFTER_MS = 15 * 60_000;

/** Values by what follows the instance's own labels: `task_name="…",status="…"`. Null is none at all. */
export type Counts = ReadonlyMap<string, number> | null;

/** What is counted of one instance and outlives its fall to 0. */
export interface Lingering {
  readonly open: Counts;
  readonly stuck: Counts;
  readonly failures: Counts;
  readonly muted: Counts;
}

/** Remembers which counts of an instance were above 0, until 15 minutes after a scrape first found them at 0. */
export class Recent {
  /** By project id, then by instance id: one key of both would be made anew for every instance of every scrape. */
  readonly #projects = new Map<string, Map<string, Remembered>>();

  /** The counts, with those that fell to 0 lately. `now` is the scrape's, epoch milliseconds. */
  settle(
    { projectId, instanceId }: Pick<InstanceRecord, "projectId" | "instanceId">,
    counts: Lingering,
    now: number,
  ): Lingering {
    const { open, stuck, failures, muted } = counts;
    let project = this.#projects.get(projectId);
    let remembered = project?.get(instanceId);
    if (remembered === undefined) {
      if (open === null && stuck === null && failures === null && muted === null) return counts;
      remembered = { open: new Map(), stuck: new Map(), failures: new Map(), muted: new Map(), seenAt: now };
      project ??= new Map();
      this.#projects.set(projectId, project.set(instanceId, remembered));
    }
    remembered.seenAt = Math.max(remembered.seenAt, now);
    return {
      open: settle(remembered.open, open, now),
      stuck: settle(remembered.stuck, stuck, now),
      failures: settle(remembered.failures, failures, now),
      muted: settle(remembered.muted, muted, now),
    };
  }

  /** Forgets instances that no scrape since `now` has seen, and those of which nothing is left. */
  forgetUnseen(now: number): void {
    for (const [projectId, project] of this.#projects) {
      for (const [instanceId, { open, stuck, failures, muted, seenAt }] of project) {
        const left = open.size + stuck.size + failures.size + muted.size;
        if (seenAt < now || left === 0) project.delete(instanceId);
      }
      if (project.size === 0) this.#projects.delete(projectId);
    }
  }
}

/** Per label set: when it was first found at 0, null while it is above. */
type ZeroSince = Map<string, number | null>;

interface Remembered {
  readonly open: ZeroSince;
  readonly stuck: ZeroSince;
  readonly failures: ZeroSince;
  readonly muted: ZeroSince;
  seenAt: number;
}

function settle(series: ZeroSince, counts: Counts, now: number): Counts {
  if (counts !== null) {
    for (const [labels, count] of counts) if (count > 0 || !series.has(labels)) series.set(labels, null);
  }
  if (series.size === 0) return null;
  const settled = new Map<string, number>();
  for (const [labels, since] of series) {
    const count = counts?.get(labels) ?? 0;
    const zeroSince = since ?? now;
    if (count > 0) settled.set(labels, count);
    // A clock that is set back must not make it stay for longer.
    else if (Math.abs(now - zeroSince) >= SHOWN_AFTER_MS) series.delete(labels);
    else {
      series.set(labels, zeroSince);
      settled.set(labels, 0);
    }
  }
  return settled;
}
