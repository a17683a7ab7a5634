import { problemAt } from "./problem.ts";
import { isBroken, type Path, type Source, type Tree, valueAt } from "./source.ts";

/** A key of the schema that has no effect yet. It may stand at its default; anything else would be a false promise. */
interface NotYet {
  /** `*` is every item of a list. */
  readonly at: Path;
  readonly atDefault: (value: Tree) => boolean;
  /** What is allowed until then. */
  readonly allowed: string;
}

/** One line per feature: whoever brings the feature removes its lines. */
const NOT_YET: readonly NotYet[] = [
  {
    at: ["webhooks", "*", "format"],
    atDefault: (value) => value !== "alertmanager",
    allowed: "the others",
  },
];

export function checkAvailable(source: Source): void {
  for (const { at, atDefault, allowed } of NOT_YET) {
    for (const path of expand(source.tree, at)) {
      const value = valueAt(source.tree, path);
      if (value === undefined || value === null || isBroken(source, path) || atDefault(value)) continue;
      source.problems.push(problemAt(source, path, `${allowed}: this one is not available in this version`));
    }
  }
}

/** The paths that a pattern with `*` stands for. */
function expand(tree: Tree, pattern: Path): readonly Path[] {
  return pattern.reduce<readonly Path[]>(
    (paths, step) =>
      paths.flatMap((path) => {
        if (step !== "*") return [[...path, step]];
        const list = valueAt(tree, path);
        return Array.isArray(list) ? list.map((_, index) => [...path, index]) : [];
      }),
    [[]],
  );
}
