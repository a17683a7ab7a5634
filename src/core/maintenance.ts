/** Sunday is 0. Minutes count from midnight by the local clock; `to` at or before `from` is on the next day. */
export type MaintenanceSpec<Subject> =
  | {
      readonly kind: "weekly";
      readonly days: ReadonlySet<number>;
      readonly from: number;
      readonly to: number;
      /** IANA name; one that is not known throws a RangeError. */
      readonly timezone: string;
      readonly matches: (subject: Subject) => boolean;
    }
  | {
      readonly kind: "absolute";
      readonly start: number;
      readonly end: number;
      readonly matches: (subject: Subject) => boolean;
    };

/** A maintenance window, ready to be asked. `end`: epoch milliseconds at which it ends, null while it is shut. */
export interface MaintenanceWindow<Subject> {
  readonly matches: (subject: Subject) => boolean;
  readonly end: (now: number) => number | null;
}

const SECOND = 1_000;
const MINUTE = 60_000;
const DAY = 86_400_000;

/**
 * Local times that a change of the clock skips or repeats: a window opens at the first moment at which the local
 * clock shows `from` or more, and shuts at the last at which it shows `to`. So 01:00 to 05:00 lasts three hours in
 * spring and five in autumn, one that lies in the skipped hour does not open, and one in the repeated hour stays
 * open through both.
 */
export function compileMaintenance<Subject>(spec: MaintenanceSpec<Subject>): MaintenanceWindow<Subject> {
  if (spec.kind === "absolute") {
    const { start, end } = spec;
    return { matches: spec.matches, end: (now) => (start <= now && now < end ? end : null) };
  }
  return { matches: spec.matches, end: perSecond(weeklyEnd(spec)) };
}

/**
 * Every window opens and shuts on a whole second, so one answer holds for a second: it is asked for each of ten
 * thousand instances in a scrape, and reading a zone's clock costs.
 */
function perSecond(end: (now: number) => number | null): (now: number) => number | null {
  let known = { second: Number.NaN, end: null as number | null };
  return (now) => {
    const second = Math.floor(now / SECOND);
    if (known.second !== second) known = { second, end: end(second * SECOND) };
    return known.end;
  };
}

function weeklyEnd<Subject>(
  spec: Extract<MaintenanceSpec<Subject>, { readonly kind: "weekly" }>,
): (now: number) => number | null {
  const { days, from, to } = spec;
  const wall = wallClock(spec.timezone);
  const next = to <= from ? DAY : 0;
  return (now) => {
    const today = Math.floor(wall(now) / DAY) * DAY;
    let latest: number | null = null;
    for (const day of [today - DAY, today]) {
      if (!days.has(new Date(day).getUTCDay())) continue;
      const start = instant(wall, day + from * MINUTE, "first");
      const end = instant(wall, day + next + to * MINUTE, "last");
      if (start <= now && now < end && (latest === null || end > latest)) latest = end;
    }
    return latest;
  };
}

/** When the windows that mute the subject now end, the last of them; null when none does. */
export function mutedUntil<Subject>(
  windows: readonly MaintenanceWindow<Subject>[],
  subject: Subject,
  now: number,
): number | null {
  let latest: number | null = null;
  for (const window of windows) {
    const end = window.end(now);
    if (end !== null && (latest === null || end > latest) && window.matches(subject)) latest = end;
  }
  return latest;
}

/** What the wall clock of a zone shows at a moment, as if it were UTC. */
type WallClock = (moment: number) => number;

function wallClock(timezone: string): WallClock {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: timezone,
    calendar: "gregory",
    numberingSystem: "latn",
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
  return (moment) => {
    let [year, month, day, hour, minute, second] = [1970, 1, 1, 0, 0, 0];
    for (const { type, value } of format.formatToParts(moment)) {
      if (type === "year") year = Number(value);
      else if (type === "month") month = Number(value);
      else if (type === "day") day = Number(value);
      else if (type === "hour") hour = Number(value);
      else if (type === "minute") minute = Number(value);
      else if (type === "second") second = Number(value);
    }
    return Date.UTC(year, month - 1, day, hour, minute, second) + (((moment % 1000) + 1000) % 1000);
  };
}

/**
 * The moment at which the wall clock shows `shown`. Where it does so twice, the first or the last; where it skips
 * it, the moment of the skip. The offsets a day before and after are the only ones that can hold around it.
 */
function instant(wall: WallClock, shown: number, which: "first" | "last"): number {
  const before = wall(shown - DAY) - (shown - DAY);
  const after = wall(shown + DAY) - (shown + DAY);
  const candidates = [shown - Math.max(before, after), shown - Math.min(before, after)] as const;
  const fits = candidates.filter((moment) => wall(moment) === shown);
  const found = which === "first" ? fits[0] : fits.at(-1);
  if (found !== undefined) return found;
  let [low, high] = candidates;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (wall(middle) >= shown) high = middle;
    else low = middle;
  }
  return high;
}
