import type { z } from "zod";
import { nearest } from "../util/nearest.ts";
import { problemAt, problemAtKey, quote } from "./problem.ts";
import { KEY } from "./schema/shapes.ts";
import { isBroken, isMap, type Path, pathKey, type Source, valueAt } from "./source.ts";

type Issue = z.core.$ZodIssue;

/** Turns what the schema complains about into problems at their places. The message of an issue is what is allowed. */
export function addIssues(source: Source, issues: readonly Issue[], base: Path = []): void {
  for (const issue of issues) {
    const path = [...base, ...issue.path.map((step) => (typeof step === "symbol" ? String(step) : step))];
    if (isBroken(source, path)) continue;
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) addUnknownKey(source, [...path, key], key, issue.message);
    } else if (issue.code === "invalid_union") {
      addUnion(source, path, issue.errors);
    } else if (issue.code === "custom" && issue.params === KEY) {
      source.problems.push(
        problemAtKey(source, path, issue.message, `the name ${quote(String(path.at(-1)))}`),
      );
    } else {
      source.problems.push(problemAt(source, path, issue.message));
    }
  }
}

function addUnknownKey(source: Source, path: Path, key: string, known: string): void {
  if (source.broken.has(pathKey(path))) return;
  const close = nearest(key, known.split(", "));
  const allowed = close === undefined ? known : `${close}? (the keys here are ${known})`;
  source.problems.push(problemAtKey(source, path, allowed, "an unknown key"));
}

/** Of the forms that a value may have, the one that it has by its looks; where it has none, all of them are allowed. */
function addUnion(source: Source, path: Path, forms: readonly (readonly Issue[])[]): void {
  const value = valueAt(source.tree, path);
  const meant = forms.find((issues) =>
    issues.every((issue) => issue.path.length > 0 || issue.code === "unrecognized_keys"),
  );
  if (meant && (isMap(value) || Array.isArray(value))) {
    addIssues(source, meant, path);
    return;
  }
  const allowed = [...new Set(forms.flatMap((issues) => issues.map(({ message }) => message)))].join("; or ");
  source.problems.push(problemAt(source, path, allowed));
}
