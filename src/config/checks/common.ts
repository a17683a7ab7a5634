import { formatDuration, parseDuration } from "../../util/duration.ts";
import { problemAt, problemAtKey } from "../problem.ts";
import { isBroken, isMap, type Path, type Source, type Tree, type TreeMap, valueAt } from "../source.ts";

/** A problem at a value, unless it is one that was complained about already. */
export function say(source: Source, path: Path, allowed: string, found?: string): void {
  if (!isBroken(source, path)) source.problems.push(problemAt(source, path, allowed, found));
}

/** A problem with a key itself. */
export function sayKey(source: Source, path: Path, allowed: string, found: string): void {
  if (!isBroken(source, path)) source.problems.push(problemAtKey(source, path, allowed, found));
}

/** The maps in a list, with their paths. */
export function mapsIn(tree: Tree, path: Path): readonly (readonly [Path, TreeMap])[] {
  const found = valueAt(tree, path);
  if (!Array.isArray(found)) return [];
  return found.flatMap((item, index) => (isMap(item) ? [[[...path, index], item] as const] : []));
}

/** The key's value must be another in each item; a problem names the first place too. */
export function unique(
  source: Source,
  items: readonly (readonly [Path, TreeMap])[],
  key: string,
  noun: string,
): void {
  const seen = new Map<string, Path>();
  for (const [path, item] of items) {
    const value = item[key];
    const at = [...path, key];
    if (typeof value !== "string" || isBroken(source, at)) continue;
    const first = seen.get(value);
    if (first === undefined) seen.set(value, at);
    else say(source, at, `one that no other ${noun} has; ${placeText(source, first)} has it, too`);
  }
}

function placeText(source: Source, path: Path): string {
  const { path: name, line } = problemAt(source, path, "");
  return line === null ? name : `${name} in line ${line}`;
}

/** A map `auth` has one of its two forms. */
export function oneAuth(source: Source, path: Path): void {
  const auth = valueAt(source.tree, path);
  if (!isMap(auth)) return;
  const forms = ["bearer_token", "basic"].filter((key) => Object.hasOwn(auth, key));
  if (forms.length !== 1) {
    say(source, path, "exactly one of bearer_token and basic", forms.length === 0 ? "neither" : "both");
  }
}

/** Two files of one pair. */
export function together(source: Source, path: Path, one: string, other: string): void {
  const map = valueAt(source.tree, path);
  if (!isMap(map) || Object.hasOwn(map, one) === Object.hasOwn(map, other)) return;
  say(source, path, `${one}_file and ${other}_file together`, "one without the other");
}

export interface Bound {
  readonly path: Path;
  /** What holds where the path is not set. */
  readonly otherwise: number | undefined;
}

/** Two durations, of which the first must not be the longer one. */
export function ordered(source: Source, less: Bound, more: Bound): void {
  const small = durationAt(source, less);
  const large = durationAt(source, more);
  if (small === undefined || large === undefined || small <= large) return;
  if (valueAt(source.tree, less.path) !== undefined) {
    say(source, less.path, `at most ${String(more.path.at(-1))}, which is ${formatDuration(large)}`);
  } else {
    say(source, more.path, `at least ${String(less.path.at(-1))}, which is ${formatDuration(small)}`);
  }
}

export function durationAt(source: Source, bound: Bound): number | undefined {
  const value = valueAt(source.tree, bound.path);
  if (value === undefined) return bound.otherwise;
  return typeof value === "string" ? parseDuration(value) : undefined;
}
