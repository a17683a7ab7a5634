import { redactUrl } from "../util/redact-url.ts";
import { isSecretPath } from "./secret-keys.ts";
import {
  exactPlaceOf,
  isMap,
  type Path,
  type Place,
  type Problem,
  placeOf,
  type Source,
  valueAt,
} from "./source.ts";

/** `taskwatch.yaml:12:9: poll.timeout: found "ten"; allowed: a duration, such as …` */
export function formatProblem(problem: Problem): string {
  const place = [problem.file, problem.line, problem.column].filter((part) => part !== null).join(":");
  const path = problem.path === "" ? "" : `${problem.path}: `;
  return `${place}: ${path}found ${problem.found}; allowed: ${problem.allowed}`;
}

/** A problem at a value of the source; `found` describes that value unless it is given. */
export function problemAt(source: Source, path: Path, allowed: string, found?: string): Problem {
  const exact = exactPlaceOf(source, path);
  const { file, line, column } = exact ?? placeOf(source, path);
  const name = exact?.name ?? formatPath(path);
  return { file, line, column, path: name, found: found ?? describe(source, path, exact), allowed };
}

/** A problem with a key itself, at the key's own place. */
export function problemAtKey(source: Source, path: Path, allowed: string, found: string): Problem {
  const problem = problemAt(source, path, allowed, found);
  const key = source.locate(path)?.key;
  return key ? { ...problem, line: key.line, column: key.column } : problem;
}

export function formatPath(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(step)) text += text === "" ? step : `.${step}`;
    else text += `[${quote(step)}]`;
  }
  return text;
}

/** Text in quotes, short, on one line. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}

function describe(source: Source, path: Path, place: Place | undefined): string {
  if (place?.found !== undefined) return place.found;
  const value = valueAt(source.tree, path);
  if (value === undefined || value === null) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (isMap(value)) return Object.keys(value).length === 0 ? "an empty map" : "a map";
  if (value === "") return "an empty text";
  if (isSecretPath(path)) return "a secret that is not shown";
  const text = place?.written ?? value;
  // Whatever the key is for, user and query of a URL may be a secret.
  return /^\s*[a-z][a-z0-9+.-]*:\/\/.*[@?#]/is.test(text) ? redactUrl(text) : quote(text);
}
