/*
 * Durations as counts in buckets of equal ratio. A quantile is told within `RELATIVE_ERROR` of the exact one of the
 * runs that were counted; runs shorter than `SHORTEST` or longer than `LONGEST` count as these. The number of
 * buckets has a bound that follows from it (588), and so has the text that is stored.
 *
 * Old runs fade: all weights are halved each time that runs of another `HALF_LIFE` later arrive, or that the sum
 * passes `FULL`. A burst does not poison it: of the runs that ended within one hour only the first count, up to
 * twice as many as usual or a hundredth of what is known, whichever is more; the first `FREE` always do. A new
 * normal still takes over, hour by hour.
 */

export const RELATIVE_ERROR = 0.02;

const GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR);
const LOG_GAMMA = Math.log(GAMMA);
const SHORTEST = 0.001;
const LONGEST = 1e7;
/** Weight of one run. Halved four times it still counts; then it is gone. */
const RUN = 16;
/** Runs at which all weights are halved. */
const FULL = 20_000;
const HALF_LIFE_HOURS = 90 * 24;
/** Runs that always count, however many come at once. */
const FREE = 100;
const HOUR = 3_600_000;
/** In hours: over less, nobody knows what is usual. */
const A_DAY = 24;

export interface Sketch {
  /** Weight by bucket index; never 0. */
  readonly buckets: ReadonlyMap<number, number>;
  /** Hour since the epoch of the run that was added last, and the weight added within it. */
  readonly hour: number;
  readonly hourWeight: number;
  /** Hour since the epoch from which the half-life counts. */
  readonly fadedAt: number;
  /** Hour since the epoch from which runs at the usual rate would make up the weight. */
  readonly since: number;
  /**
   * Local time in epoch milliseconds at which the runs became known: the first, or the latest commit that more than
   * doubled them. 0 for a sketch that version 1 wrote: it has been known for long.
   */
  readonly knownSince: number;
}

export interface Run {
  readonly seconds: number;
  /** When it ended, epoch milliseconds. */
  readonly at: number;
}

export const EMPTY: Sketch = {
  buckets: new Map(),
  hour: 0,
  hourWeight: 0,
  fadedAt: 0,
  since: 0,
  knownSince: 0,
};

const bucketOf = (seconds: number): number =>
  Math.ceil(Math.log(Math.min(LONGEST, Math.max(SHORTEST, seconds))) / LOG_GAMMA);

/** The value that is within the stated error of everything in the bucket. */
const middleOf = (bucket: number): number => (2 * GAMMA ** bucket) / (GAMMA + 1);

function weight(buckets: ReadonlyMap<number, number>): number {
  let sum = 0;
  for (const part of buckets.values()) sum += part;
  return sum;
}

/** Runs that count, after fading; rounded up so that what is there is never 0. */
export const count = (sketch: Sketch): number => Math.ceil(weight(sketch.buckets) / RUN);

/** Adds finished runs, the earliest first whatever their order. A duration that is no number ≥ 0 is passed over. */
export function add(sketch: Sketch, runs: readonly Run[]): Sketch {
  const buckets = new Map(sketch.buckets);
  let { hour, hourWeight, fadedAt, since } = sketch;
  let total = weight(buckets);
  const halve = (now: number) => {
    since = now - Math.floor((now - since) / 2);
    for (const [bucket, part] of buckets) {
      if (part > 1) buckets.set(bucket, part >> 1);
      else buckets.delete(bucket);
    }
    total = weight(buckets);
  };
  for (const { seconds, at } of [...runs].sort((a, b) => a.at - b.at)) {
    if (!(seconds >= 0) || !Number.isFinite(at)) continue;
    const ended = Math.floor(at / HOUR);
    if (fadedAt === 0) [fadedAt, since] = [ended, ended];
    for (let steps = 0; ended - fadedAt >= HALF_LIFE_HOURS && steps < 5; steps += 1) {
      halve(ended);
      fadedAt += HALF_LIFE_HOURS;
    }
    if (ended - fadedAt >= HALF_LIFE_HOURS) fadedAt = ended;
    if (ended !== hour) [hour, hourWeight] = [ended, 0];
    const before = total - hourWeight;
    const usual = before / Math.max(A_DAY, ended - since);
    if (total >= FREE * RUN && hourWeight >= Math.max(RUN, 2 * usual, before / 100)) continue;
    const bucket = bucketOf(seconds);
    buckets.set(bucket, (buckets.get(bucket) ?? 0) + RUN);
    total += RUN;
    hourWeight += RUN;
    if (total > FULL * RUN) {
      halve(ended);
      hourWeight >>= 1;
    }
  }
  return { buckets, hour, hourWeight, fadedAt, since, knownSince: sketch.knownSince };
}

/** As `add`, for runs that this replica records at `now`, local time. */
export function learn(before: Sketch, runs: readonly Run[], now: number): Sketch {
  const after = add(before, runs);
  return count(after) > 2 * count(before) ? { ...after, knownSince: now } : after;
}

/** What several shards know, for reading. The merged runs count as known since half of them were. */
export function merge(sketches: readonly Sketch[]): Sketch {
  const buckets = new Map<number, number>();
  let latest: Sketch = EMPTY;
  for (const sketch of sketches) {
    for (const [bucket, part] of sketch.buckets) buckets.set(bucket, (buckets.get(bucket) ?? 0) + part);
    if (sketch.hour > latest.hour) latest = sketch;
  }
  return { ...latest, buckets, knownSince: halfKnownSince(sketches, weight(buckets)) };
}

function halfKnownSince(sketches: readonly Sketch[], total: number): number {
  let known = 0;
  for (const { buckets, knownSince } of [...sketches].sort((a, b) => a.knownSince - b.knownSince)) {
    known += weight(buckets);
    if (2 * known >= total) return knownSince;
  }
  return 0;
}

/** The duration in seconds that the given share (0 to 1) of the runs does not exceed; null without runs. */
export function quantile(sketch: Sketch, share: number): number | null {
  const total = weight(sketch.buckets);
  if (total === 0) return null;
  const rank = Math.max(1, Math.ceil(Math.min(1, Math.max(0, share)) * total));
  let below = 0;
  for (const bucket of [...sketch.buckets.keys()].sort((a, b) => a - b)) {
    below += sketch.buckets.get(bucket) ?? 0;
    if (below >= rank) return middleOf(bucket);
  }
  return null;
}

const VERSION = "s2";
/** Without `known since`. */
const FIRST_VERSION = "s1";

/**
 * `s2;known since;hour;weight in it;faded at;since;bucket.weight,…` in base 36, buckets as steps from the one
 * before.
 */
export function serialize(sketch: Sketch): string {
  let last = 0;
  const parts: string[] = [];
  for (const bucket of [...sketch.buckets.keys()].sort((a, b) => a - b)) {
    parts.push(`${(bucket - last).toString(36)}.${(sketch.buckets.get(bucket) ?? 0).toString(36)}`);
    last = bucket;
  }
  const numbers = [sketch.knownSince, sketch.hour, sketch.hourWeight, sketch.fadedAt, sketch.since].map(
    (part) => part.toString(36),
  );
  return [VERSION, ...numbers, parts.join(",")].join(";");
}

/** Did `serialize` write it, or would `parse` begin anew? */
export const isSketch = (text: string): boolean => parse(text) !== EMPTY;

/** Reads what `serialize` wrote. Anything else is an empty sketch: it is learned anew, which is safe. */
export function parse(text: string | null): Sketch {
  const [version, ...rest] = (text ?? "").split(";");
  const fields = version === FIRST_VERSION ? ["0", ...rest] : rest;
  if ((version !== VERSION && version !== FIRST_VERSION) || fields.length !== 6) return EMPTY;
  const list = fields[5] ?? "";
  const buckets = new Map<number, number>();
  let bucket = 0;
  for (const part of list === "" ? [] : list.split(",")) {
    const [step = "", held = ""] = part.split(".");
    bucket += Number.parseInt(step, 36);
    const parsed = Number.parseInt(held, 36);
    if (!Number.isSafeInteger(bucket) || !(parsed > 0)) return EMPTY;
    buckets.set(bucket, parsed);
  }
  const [knownSince = 0, hour = 0, hourWeight = 0, fadedAt = 0, since = 0] = fields
    .slice(0, 5)
    .map((field) => Number.parseInt(field, 36));
  if (![knownSince, hour, hourWeight, fadedAt, since].every(Number.isSafeInteger)) return EMPTY;
  return { buckets, hour, hourWeight, fadedAt, since, knownSince };
}
