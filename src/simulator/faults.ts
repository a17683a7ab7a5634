import { z } from "zod";
import { compileGlob } from "../util/glob.ts";
import { ERROR_SHAPES, type Refusal } from "./answers.ts";
import { MALFORMED } from "./malformed.ts";
import { throttled } from "./rate-limit.ts";
import { duration } from "./time.ts";

/** Old rules that have nothing left to do are kept for their counts, up to so many. */
const MAX_SPENT = 100;

const globs = z.union([z.string(), z.array(z.string())]).optional();

const when = {
  id: z.string().optional(),
  /** Globs; project and instance match the id or the name. */
  project: globs,
  instance: globs,
  operation: globs,
  key: globs,
  /** Matching calls let through before the fault begins. */
  skip: z.int().nonnegative().default(0),
  /** How many calls are hit; default: no end. */
  times: z.int().positive().optional(),
  probability: z.number().min(0).max(1).default(1),
  /** How long the rule stays, from when it is added. */
  for: duration.optional(),
  /** Waits so long before the answer. */
  delay: duration.default(0),
};

export const damages = [
  /** Nothing but the rule's delay. */
  z.strictObject({ kind: z.literal("delay"), ...when }),
  /** Never answers. */
  z.strictObject({ kind: z.literal("hang"), ...when }),
  /** The body is cut; its length is right. */
  z.strictObject({ kind: z.literal("truncated"), keep: z.number().min(0).max(1).default(0.5), ...when }),
  z.strictObject({
    kind: z.literal("drip"),
    bytes: z.int().positive().default(1),
    every: duration.prefault("100ms"),
    ...when,
  }),
  /** Cuts the connection with RST: before any byte, or after so many of the body. */
  z.strictObject({ kind: z.literal("reset"), after_bytes: z.int().nonnegative().optional(), ...when }),
  /** Content-Length is wrong by so much. */
  z.strictObject({ kind: z.literal("wrong_length"), by: z.int().default(10), ...when }),
  /** A right answer inside so many bytes of padding. */
  z.strictObject({
    kind: z.literal("huge"),
    bytes: z
      .int()
      .positive()
      .default(64 * 1024 * 1024),
    gzip: z.boolean().default(false),
    ...when,
  }),
  z.strictObject({ kind: z.literal("empty"), status: z.int().min(200).max(599).default(200), ...when }),
  z.strictObject({
    kind: z.literal("body"),
    status: z.int().min(200).max(599).default(200),
    body: z.string(),
    headers: z.record(z.string(), z.string()).default({}),
    ...when,
  }),
  z.strictObject({
    kind: z.literal("redirect"),
    status: z.int().min(300).max(399).default(302),
    location: z.string(),
    ...when,
  }),
  z.strictObject({
    kind: z.literal("malformed"),
    variant: z.enum(MALFORMED),
    all: z.boolean().default(false),
    ...when,
  }),
] as const;

/** 429 with APIGW.0308; Retry-After, as seconds or a date, only where it is given. */
const throttledRule = z.strictObject({
  kind: z.literal("throttled"),
  limit: z.int().default(5),
  retry_after: z.union([z.number(), z.string()]).optional(),
  ...when,
});
/** The 404 with DMS.10240407 that means throttled. */
const throttled404Rule = z.strictObject({ kind: z.literal("throttled_404"), ...when });
const errorRule = z.strictObject({
  kind: z.literal("error"),
  status: z.int().min(200).max(599),
  code: z.string().default("DMS.00500000"),
  message: z.string().default("Service unavailable."),
  shape: z.enum(ERROR_SHAPES).optional(),
  headers: z.record(z.string(), z.string()).default({}),
  ...when,
});
/** Changes the list when page `after_page` of it has been made, so that the next page shifts. */
const shiftRule = z.strictObject({
  kind: z.literal("shift"),
  after_page: z.int().positive().default(1),
  add: z.int().nonnegative().default(0),
  delete: z.int().nonnegative().default(0),
  /** Which end the deleted tasks are taken from. */
  from: z.enum(["newest", "oldest"]).default("newest"),
  ...when,
});

/** A rule: which calls are hit, how often, and by what. */
export const faultRule = z.discriminatedUnion("kind", [
  ...damages,
  throttledRule,
  throttled404Rule,
  errorRule,
  shiftRule,
]);
export type FaultRule = z.input<typeof faultRule>;
export type Shift = z.output<typeof shiftRule>;
export type Damage = z.output<(typeof damages)[number]>;

/** What one call gets. */
export interface ActiveFault {
  readonly id: string;
  readonly delay: number;
  /** The answer instead of the service's. */
  readonly refusal: Refusal | null;
  /** What happens to the answer on its way. */
  readonly damage: Damage | null;
  readonly shift: Shift | null;
}

export interface FaultTarget {
  readonly project: readonly string[];
  readonly instance: readonly string[];
  readonly operation: readonly string[];
  readonly key: readonly string[];
}

interface Entry {
  readonly id: string;
  readonly rule: z.output<typeof faultRule>;
  readonly matches: (target: FaultTarget) => boolean;
  readonly until: number;
  seen: number;
  hits: number;
}

/** The rules in force, in the order they were added; the first that matches a call wins. */
export class Faults {
  #entries: Entry[] = [];
  #ids = 0;

  /** Returns the rule's id. */
  add(rule: z.output<typeof faultRule>, now: number): string {
    const id = rule.id ?? `fault-${++this.#ids}`;
    const tests = [
      globTest(rule.project),
      globTest(rule.instance),
      globTest(rule.operation),
      globTest(rule.key),
    ];
    const [project, instance, operation, key] = tests;
    this.clear(id);
    if (this.#entries.length >= MAX_SPENT)
      this.#entries = this.#entries.filter((entry) => !isSpent(entry, now));
    this.#entries.push({
      id,
      rule,
      until: rule.for === undefined ? Number.POSITIVE_INFINITY : now + rule.for,
      seen: 0,
      hits: 0,
      matches: (target) =>
        project?.(target.project) === true &&
        instance?.(target.instance) === true &&
        operation?.(target.operation) === true &&
        key?.(target.key) === true,
    });
    return id;
  }

  /** Removes one rule, or all. */
  clear(id?: string): void {
    this.#entries = id === undefined ? [] : this.#entries.filter((entry) => entry.id !== id);
  }

  list(): { id: string; kind: string; hits: number }[] {
    return this.#entries.map(({ id, rule, hits }) => ({ id, kind: rule.kind, hits }));
  }

  get none(): boolean {
    return this.#entries.length === 0;
  }

  pick(target: FaultTarget, now: number, random: () => number): ActiveFault | null {
    for (const entry of this.#entries) {
      const { rule } = entry;
      if (isSpent(entry, now) || !entry.matches(target)) continue;
      entry.seen += 1;
      if (entry.seen <= rule.skip) continue;
      if (rule.probability < 1 && random() >= rule.probability) continue;
      entry.hits += 1;
      return activate(entry.id, rule);
    }
    return null;
  }
}

function isSpent(entry: Entry, now: number): boolean {
  return now >= entry.until || entry.hits >= (entry.rule.times ?? Number.POSITIVE_INFINITY);
}

function globTest(globs: string | readonly string[] | undefined): (names: readonly string[]) => boolean {
  if (globs === undefined) return () => true;
  const tests = (typeof globs === "string" ? [globs] : globs).map(compileGlob);
  return (names) => names.some((name) => tests.some((test) => test(name)));
}

function activate(id: string, rule: z.output<typeof faultRule>): ActiveFault {
  const plain = { id, delay: rule.delay, refusal: null, damage: null, shift: null };
  switch (rule.kind) {
    case "throttled":
      return { ...plain, refusal: throttled(rule.limit, rule.retry_after) };
    case "throttled_404": {
      const message = "The request is too frequent. Flow control is being performed.";
      return { ...plain, refusal: { status: 404, code: "DMS.10240407", message } };
    }
    case "error": {
      const { status, code, message, headers, shape } = rule;
      return { ...plain, refusal: { status, code, message, headers, shape } };
    }
    case "shift":
      return { ...plain, shift: rule };
    default:
      return { ...plain, damage: rule };
  }
}
