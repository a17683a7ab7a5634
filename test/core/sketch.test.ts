import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Learned } from "../../src/core/decision.ts";
import { knowledgeOf, learnedThreshold, learnNames, NAMES_CAP } from "../../src/core/names.ts";
import {
  add,
  count,
  EMPTY,
  merge,
  parse,
  quantile,
  RELATIVE_ERROR,
  type Run,
  type Sketch,
  serialize,
} from "../../src/core/sketch.ts";
import type { NameKnowledge } from "../../src/core/state.ts";
import { DAY, HOUR, MINUTE, rulesOf, T0 } from "./support.ts";

/** A fixed sequence of numbers in [0, 1), so that a failure can be seen again. */
function* numbers(seed: number): Generator<number, never> {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

/** 10,000 runs over 60 days: log-normal around four minutes, one in a hundred a hundred times as long. */
function history(): Run[] {
  const random = numbers(42);
  const next = () => random.next().value;
  return Array.from({ length: 10_000 }, (_, index) => {
    const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
    const outlier = next() < 0.01 ? 100 : 1;
    return { seconds: 240 * Math.exp(0.8 * normal) * outlier, at: T0 + (index * 60 * DAY) / 10_000 };
  });
}

const exact = (runs: readonly Run[], share: number): number => {
  const sorted = runs.map(({ seconds }) => seconds).sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
};

const steady = (runs: number, seconds: number, from = T0): Run[] =>
  Array.from({ length: runs }, (_, index) => ({
    seconds: seconds * (1 + (index % 10) / 100),
    at: from + index * HOUR,
  }));

describe("a sketch of 10,000 durations with outliers", () => {
  const runs = history();
  const sketch = add(EMPTY, runs);

  for (const share of [0.01, 0.25, 0.5, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1]) {
    it(`tells the ${share} quantile within ${RELATIVE_ERROR * 100} %`, () => {
      const told = quantile(sketch, share)!;
      expect(Math.abs(told / exact(runs, share) - 1)).toBeLessThanOrEqual(RELATIVE_ERROR + 1e-9);
    });
  }

  it("gives learned thresholds within the same error", () => {
    const { learn } = rulesOf().stuck;
    const threshold = learnedThreshold(sketch, learn)!;
    const want = Math.min(learn.ceiling / 1000, Math.max(learn.floor / 1000, exact(runs, 0.99) * 3));
    expect(Math.abs(threshold.seconds / want - 1)).toBeLessThanOrEqual(RELATIVE_ERROR + 1e-9);
    expect(threshold).toMatchObject({ source: "learned", samples: 10_000 });
  });

  it("does not depend on the order in which they come, nor on how they are split over shards", () => {
    expect(serialize(add(EMPTY, [...runs].reverse()))).toBe(serialize(sketch));
    const parts = [0, 1, 2].map((shard) =>
      add(
        EMPTY,
        runs.filter((_, index) => index % 3 === shard),
      ),
    );
    expect(count(merge(parts))).toBe(10_000);
    for (const share of [0.5, 0.99]) expect(quantile(merge(parts), share)).toBe(quantile(sketch, share));
  });

  it("is stored in a short text, and read back whole", () => {
    const text = serialize(sketch);
    expect(text.length).toBeLessThan(3000);
    expect(parse(text)).toEqual(sketch);
  });
});

it("the quantiles of any runs are within the stated error", () => {
  const seconds = fc.double({ min: 0.001, max: 1e7, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(seconds, { minLength: 1, maxLength: 90 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (list, share) => {
        const runs = list.map((value, index) => ({ seconds: value, at: T0 + index }));
        const told = quantile(add(EMPTY, runs), share)!;
        expect(Math.abs(told / exact(runs, share) - 1)).toBeLessThanOrEqual(RELATIVE_ERROR + 1e-6);
      },
    ),
  );
});

describe("a sketch", () => {
  it("has a bound, whatever comes in", () => {
    const random = numbers(7);
    const wild = Array.from({ length: 30_000 }, (_, index) => ({
      seconds: 10 ** (random.next().value * 40 - 20),
      at: T0 + index * 10 * HOUR,
    }));
    const sketch = add(EMPTY, wild);
    expect(sketch.buckets.size).toBeLessThanOrEqual(588);
    expect(serialize(sketch).length).toBeLessThan(5000);
  });

  it("takes no figure that is none", () => {
    const runs = [Number.NaN, -1].map((seconds) => ({ seconds, at: T0 }));
    expect(count(add(EMPTY, [...runs, { seconds: 1, at: Number.NaN }]))).toBe(0);
  });

  it("is not poisoned by a burst of odd runs, short or long", () => {
    const sketch = add(EMPTY, steady(500, 600));
    const usual = quantile(sketch, 0.99)!;
    for (const seconds of [1, 80_000]) {
      const burst = Array.from({ length: 500 }, (_, index) => ({
        seconds,
        at: T0 + 501 * HOUR + index * 1000,
      }));
      const oneByOne = burst.reduce<Sketch>((held, run) => add(held, [run]), sketch);
      expect(serialize(oneByOne)).toBe(serialize(add(sketch, burst)));
      expect(Math.abs(quantile(oneByOne, 0.99)! / usual - 1)).toBeLessThan(0.05);
    }
  });

  it("follows a new normal", () => {
    const sketch = add(EMPTY, [...steady(500, 600), ...steady(500, 6000, T0 + 500 * HOUR)]);
    expect(quantile(sketch, 0.99)!).toBeGreaterThan(5900);
  });

  it("forgets runs of long ago", () => {
    let sketch = add(EMPTY, steady(200, 80_000));
    for (let days = 30; days < 700; days += 30) sketch = add(sketch, steady(30, 600, T0 + days * DAY));
    expect(quantile(sketch, 0.99)!).toBeLessThan(700);
    expect(count(add(EMPTY, steady(50_000, 60)))).toBeLessThan(20_001);
  });

  it("that cannot be read is learned anew", () => {
    for (const text of [
      null,
      "",
      "s2;1;1;1;1;",
      "s1;-;1;1;1;1.1",
      "s1;1;1;1;1;z.",
      "s1;1;1;1;1;1.0",
      "s1;1;1;1",
      "{}",
    ]) {
      expect(parse(text)).toEqual(EMPTY);
    }
    expect(quantile(EMPTY, 0.5)).toBeNull();
  });
});

describe("a learned threshold", () => {
  const { learn } = rulesOf().stuck;
  const of = (runs: readonly Run[], changes: Partial<typeof learn> = {}) =>
    learnedThreshold(add(EMPTY, runs), { ...learn, ...changes });

  it("is there once there are min_samples", () => {
    expect(of(steady(19, 600))).toBeNull();
    expect(of(steady(20, 600))).toMatchObject({ source: "learned", samples: 20 });
    expect(of(steady(20, 600), { enabled: false })).toBeNull();
  });

  it("stays between floor and ceiling", () => {
    expect(of(steady(20, 1))?.seconds).toBe(300);
    expect(of(steady(20, 80_000))?.seconds).toBe(86_400);
  });
});

describe("what is known of names", () => {
  const ran = (name: string, seconds: number | null, executed = false): Learned => ({
    name,
    executed,
    seconds,
    at: T0,
    seenAt: T0,
  });
  const byName = (entries: readonly NameKnowledge[]) => new Map(entries.map((entry) => [entry.name, entry]));

  it("is written only where it is news", () => {
    const first = learnNames(new Map(), "p1", [ran("a", 60), ran("b", null, true), ran("a", 61)]);
    expect(first.map(({ name, executed }) => [name, executed])).toEqual([
      ["a", false],
      ["b", true],
    ]);
    expect(count(parse(first[0]!.sketch))).toBe(2);
    expect(learnNames(byName(first), "p1", [ran("b", null, true)])).toEqual([]);
  });

  it("is read over all shards, and never from another project", () => {
    const shard = (offset: number, projectId: string) =>
      learnNames(
        new Map(),
        projectId,
        Array.from({ length: 12 }, (_, i) => ran("a", 60 + offset + i, offset === 1)),
      );
    const knowledge = knowledgeOf(
      [...shard(0, "p1"), ...shard(1, "p1"), ...shard(2, "p2")],
      "p1",
      rulesOf().stuck.learn,
    );
    expect(knowledge.executed("a")).toBe(true);
    expect(knowledge.learned("a")?.threshold).toMatchObject({ samples: 24, source: "learned" });
    expect(knowledge.learned("b")).toBeNull();
    for (const name of ["__proto__", "constructor", ""]) expect(knowledge.executed(name)).toBe(false);
  });

  describe("are known since", () => {
    const runs = (many: number, seenAt: number): Learned[] =>
      Array.from({ length: many }, (_, index) => ({ ...ran("a", 60 + index), seenAt }));
    const read = (...entries: readonly NameKnowledge[]) =>
      knowledgeOf(entries, "p1", rulesOf().stuck.learn).learned("a")?.knownSince;
    const learnedIn = (...commits: readonly Learned[][]): NameKnowledge =>
      commits.reduce<readonly NameKnowledge[]>(
        (known, learned) => learnNames(byName(known), "p1", learned),
        [],
      )[0]!;

    it("their first run, however many follow one by one", () => {
      expect(read(learnedIn(...Array.from({ length: 40 }, (_, day) => runs(1, T0 + day * DAY))))).toBe(T0);
    });

    it("the last commit that more than doubled them: another first poll brought most of them", () => {
      expect(read(learnedIn(runs(30, T0), runs(30, T0 + DAY)))).toBe(T0);
      expect(read(learnedIn(runs(30, T0), runs(31, T0 + DAY)))).toBe(T0 + DAY);
    });

    it("when half of them were, over all shards", () => {
      const [few, many] = [learnedIn(runs(5, T0)), learnedIn(runs(40, T0 + DAY))];
      expect(read(few, many)).toBe(T0 + DAY);
      expect(read(many, learnedIn(runs(40, T0)))).toBe(T0);
    });

    it("long ago, where version 1 wrote them", () => {
      const [version, _, ...rest] = learnedIn(runs(30, T0)).sketch!.split(";");
      expect(version).toBe("s2");
      expect(read({ projectId: "p1", name: "a", executed: true, sketch: ["s1", ...rest].join(";") })).toBe(0);
    });
  });

  it("does not grow with names without end", () => {
    const learned = Array.from({ length: NAMES_CAP + 50 }, (_, index) => ran(`n${index}`, 1));
    const known = byName(learnNames(new Map(), "p1", learned));
    expect(known.size).toBe(NAMES_CAP);
    expect(learnNames(known, "p1", [ran("one more", 1), ran("n0", 2)]).map(({ name }) => name)).toEqual([
      "n0",
    ]);
  });
});

it("a run of the first poll counts by when it ended, so that a history read at once is no burst", () => {
  const runs = Array.from({ length: 2000 }, (_, index) => ({ seconds: 60, at: T0 - index * 20 * MINUTE }));
  expect(count(add(EMPTY, runs))).toBe(2000);
});
