import type { Knowledge, Learned, LearnedLimit } from "./decision.ts";
import type { LearnRules } from "./rules.ts";
import { count, learn, merge, parse, quantile, type Run, type Sketch, serialize } from "./sketch.ts";
import type { NameKnowledge, Threshold } from "./state.ts";

/** Most task names of one project that a shard keeps knowledge of; further ones are not learned. */
export const NAMES_CAP = 1000;

/** More samples than this are never asked for: a sketch that fades may hold no more. */
const SAMPLES_CAP = 1000;

/** Quantile times factor between floor and ceiling; null while learning is off or there are too few runs. */
export function learnedThreshold(sketch: Sketch, rules: LearnRules): Threshold | null {
  const samples = count(sketch);
  if (!rules.enabled || samples < Math.min(Math.max(1, rules.minSamples), SAMPLES_CAP)) return null;
  const usual = quantile(sketch, rules.quantile);
  if (usual === null) return null;
  const seconds = Math.min(rules.ceiling / 1000, Math.max(rules.floor / 1000, usual * rules.factor));
  return { seconds, source: "learned", samples };
}

/**
 * What a decision taught about names, merged into what this shard knows: the entries to write. `known` is the
 * shard's own knowledge of the project by name. Names past `NAMES_CAP` are left out, so that a cloud that invents
 * names does not fill the store.
 */
export function learnNames(
  known: ReadonlyMap<string, NameKnowledge>,
  projectId: string,
  learned: readonly Learned[],
): readonly NameKnowledge[] {
  const byName = new Map<string, Learned[]>();
  for (const item of learned) {
    const list = byName.get(item.name);
    if (list === undefined) byName.set(item.name, [item]);
    else list.push(item);
  }
  const changed: NameKnowledge[] = [];
  let size = known.size;
  for (const [name, items] of byName) {
    const [{ seenAt } = { seenAt: 0 }] = items;
    const before = known.get(name);
    if (before === undefined) {
      if (size >= NAMES_CAP) continue;
      size += 1;
    }
    const executed = (before?.executed ?? false) || items.some((item) => item.executed);
    const runs: Run[] = items.flatMap(({ seconds, at }) => (seconds === null ? [] : [{ seconds, at }]));
    const had = before?.sketch ?? null;
    const sketch = runs.length === 0 ? had : serialize(learn(parse(had), runs, seenAt));
    if (before !== undefined && before.executed === executed && before.sketch === sketch) continue;
    changed.push({ projectId, name, executed, sketch });
  }
  return changed;
}

/**
 * The knowledge of one project's names over all shards. Sketches are read only when a name is asked for, and then
 * kept: make a new one when an entry changed.
 */
export function knowledgeOf(
  entries: Iterable<NameKnowledge>,
  projectId: string,
  rules: LearnRules,
): Knowledge {
  const executed = new Set<string>();
  const texts = new Map<string, string[]>();
  for (const entry of entries) {
    if (entry.projectId !== projectId) continue;
    if (entry.executed) executed.add(entry.name);
    if (entry.sketch === null) continue;
    const list = texts.get(entry.name);
    if (list === undefined) texts.set(entry.name, [entry.sketch]);
    else list.push(entry.sketch);
  }
  const limits = new Map<string, LearnedLimit | null>();
  return {
    executed: (name) => executed.has(name),
    learned(name) {
      const kept = limits.get(name);
      if (kept !== undefined) return kept;
      const sketch = merge((texts.get(name) ?? []).map(parse));
      const threshold = learnedThreshold(sketch, rules);
      const limit = threshold === null ? null : { threshold, knownSince: sketch.knownSince };
      limits.set(name, limit);
      return limit;
    },
  };
}
