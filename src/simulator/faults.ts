import type { z } from "zod";
import { compileGlob } from "../util/glob.ts";
import type { Refusal } from "./answers.ts";
import type { Damage, faultRule, Shift } from "./fault-rules.ts";
import { throttled } from "./rate-limit.ts";

/** Old rules that have nothing left to do are kept for their counts, up to so many. */
const MAX_SPENT = 100;

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
