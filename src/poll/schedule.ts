import { createTask, parse } from "node-cron";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Four years and a day: longer than the rarest date (29 February) is away. */
const SEARCH_HOURS = 24 * (4 * 366);

/** The widest stretch over which the instances of one schedule are spread. */
const MAX_SPREAD = 5 * MINUTE;

/** Instances of one schedule ask about its present gap and the one before, and about neither of another schedule's. */
const KEPT_STRETCHES = 4;

/** `due` is the first due time after each moment from `from` on, before `due`. */
interface Stretch {
  readonly from: number;
  readonly due: number;
}

/**
 * When a cron expression (six fields, seconds first) is due, in a time zone. Fields and the match are node-cron's;
 * the search is ours, because node-cron only tells the next run from the present, and due times of the past and
 * of a clock that jumped are needed too.
 */
export class Schedule {
  /** Equal for schedules that mean the same. */
  readonly name: string;
  readonly #matches: (date: Date) => boolean;
  readonly #seconds: readonly number[];
  readonly #minutes: ReadonlySet<number>;
  readonly #hours: ReadonlySet<number>;
  readonly #local: (time: number) => { hour: number; minute: number };
  /** The gap that was asked for last: thousands of instances ask about the same moment. */
  #gap = { before: 0, after: 0 };
  /** Stretches of time whose next due time was found, the latest first: the match costs more than a whole poll's rest. */
  #found: readonly Stretch[] = [];

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
    for (const { from, due } of this.#found) if (from <= time && time < due) return due;
    const due = this.#search(time);
    // The same stretch, asked from further back, takes the place of its part.
    const others = this.#found.filter((each) => each.due !== due);
    this.#found = [{ from: time, due }, ...others].slice(0, KEPT_STRETCHES);
    return due;
  }

  #search(time: number): number {
    let at = Math.floor(time / SECOND) * SECOND + SECOND;
    const limit = at + SEARCH_HOURS * HOUR;
    while (at < limit) {
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

  /** The gap between the due times around `now`, in milliseconds: the schedule's interval at that moment. */
  interval(now: number): number {
    if (now < this.#gap.before || now >= this.#gap.after) this.#gap = this.#gapAround(now);
    return this.#gap.after - this.#gap.before;
  }

  #gapAround(now: number): { before: number; after: number } {
    const after = this.next(now);
    if (after === Number.POSITIVE_INFINITY) return { before: now, after };
    // The due time before is found by looking from further and further back.
    for (let back = MINUTE; back <= SEARCH_HOURS * HOUR; back *= 4) {
      let before = this.next(now - back);
      if (before >= after) continue;
      for (let step = this.next(before); step < after; step = this.next(before)) before = step;
      return { before, after };
    }
    return { before: Number.NEGATIVE_INFINITY, after };
  }

  /** Due times of one of many: shifted by a share (0 to 1) of the interval, so that not all come at once. */
  nextSpread(time: number, share: number): number {
    const shift = Math.floor(share * Math.min(this.interval(time), MAX_SPREAD));
    return this.next(time - shift) + shift;
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
