import { createTask, parse } from "node-cron";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Four years and a day: longer than the rarest date (29 February) is away. */
const SEARCH_MS = 24 * (4 * 366) * HOUR;

/** The widest stretch over which the instances of one schedule are spread. */
const MAX_SPREAD = 5 * MINUTE;

/**
 * A tick asks about times from one spread before the present to just after it: five gaps for a schedule of every
 * second, fewer for any other.
 */
const KEPT_GAPS = 8;

/** Two due times in a row. Infinite where there is none within the search. */
interface Gap {
  readonly before: number;
  readonly after: number;
  /** The first moment that this gap answers for; `after` is the first one that it does not. */
  readonly from: number;
}

/**
 * When a cron expression (six fields, seconds first) is due, in a time zone. node-cron parses and matches; it only
 * tells the next run from the present, so the search for due times around any moment is here. All instances of a
 * schedule share it, and it searches each due time once for all of them: a search costs more than a poll.
 */
export class Schedule {
  /** Equal for schedules that mean the same. */
  readonly name: string;
  readonly #matches: (date: Date) => boolean;
  readonly #seconds: readonly number[];
  readonly #minutes: ReadonlySet<number>;
  readonly #hours: ReadonlySet<number>;
  readonly #local: (time: number) => { hour: number; minute: number };
  /** The gaps found last, the latest first. */
  readonly #gaps: Gap[] = [];

  constructor(expression: string, timezone: string) {
    this.name = `${expression} ${timezone}`;
    const fields = parse(expression);
    const task = createTask(expression, () => {}, { timezone });
    this.#matches = (date) => task.match(date);
    this.#seconds = [...fields.second].sort((a, b) => a - b);
    this.#minutes = new Set(fields.minute);
    this.#hours = new Set(fields.hour);
    this.#local = localClock(timezone);
  }

  /** The first due time after `time`, epoch milliseconds; Infinity for a date that never comes. */
  next(time: number): number {
    return this.#gapAround(time).after;
  }

  /** The gap between the due times around `now`, in milliseconds: the schedule's interval at that moment. */
  interval(now: number): number {
    const { before, after } = this.#gapAround(now);
    return after - before;
  }

  /** Due times of one of many: shifted by a share (0 to 1) of the interval, so that not all come at once. */
  nextSpread(time: number, share: number): number {
    const shift = Math.floor(share * Math.min(this.interval(time), MAX_SPREAD));
    return this.next(time - shift) + shift;
  }

  #gapAround(time: number): Gap {
    for (const gap of this.#gaps) if (gap.from <= time && time < gap.after) return gap;
    const found = this.#findGap(time);
    if (this.#gaps.unshift(found) > KEPT_GAPS) this.#gaps.pop();
    return found;
  }

  #findGap(time: number): Gap {
    const after = this.#search(time, time + SEARCH_MS);
    const none = { before: Number.NEGATIVE_INFINITY, after, from: time };
    if (after === Number.POSITIVE_INFINITY) return none;
    // The due time before is found by looking from further and further back.
    for (let back = SECOND; back <= 2 * SEARCH_MS; back *= 2) {
      let before = this.#search(time - back, time);
      if (before > time) continue;
      for (let step = this.#search(before, time); step <= time; step = this.#search(before, time)) {
        before = step;
      }
      return { before, after, from: before };
    }
    return none;
  }

  /** The first due time after `time`. Gives up at `until`, but may find one beyond. */
  #search(time: number, until: number): number {
    let at = Math.floor(time / SECOND) * SECOND + SECOND;
    while (at <= until) {
      const { hour, minute } = this.#local(at);
      const intoMinute = at % MINUTE;
      if (!this.#hours.has(hour)) at += HOUR - minute * MINUTE - intoMinute;
      else if (!this.#minutes.has(minute)) at += MINUTE - intoMinute;
      else {
        const second = this.#seconds.find((each) => each * SECOND >= intoMinute);
        if (second === undefined) at += MINUTE - intoMinute;
        else {
          at += second * SECOND - intoMinute;
          if (this.#matches(new Date(at))) return at;
          // Hour, minute and second fit, so the day does not: nothing before the next hour can.
          at += HOUR - minute * MINUTE - (at % MINUTE);
        }
      }
    }
    return Number.POSITIVE_INFINITY;
  }
}

/** Zones differ from UTC by whole minutes, so the second of the minute needs no zone. */
function localClock(timezone: string): (time: number) => { hour: number; minute: number } {
  if (timezone === "UTC") {
    return (time) => ({
      hour: Math.floor(time / HOUR) % 24,
      minute: Math.floor(time / MINUTE) % 60,
    });
  }
  const format = new Intl.DateTimeFormat("en-GB", {
    timeZone: timezone,
    hour: "numeric",
    minute: "numeric",
    hourCycle: "h23",
  });
  return (time) => {
    const [hour = 0, minute = 0] = format.format(time).split(":").map(Number);
    return { hour, minute };
  };
}
