import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");
/** Whoever imports one of these starts processes (Redis, Prometheus, a browser, the daemon) or a whole daemon in real time. */
const SLOW = new Set([
  "node:child_process",
  "node:cluster",
  "playwright-core",
  resolve(ROOT, "test/support/running-app.ts"),
]);
const IMPORT = /\b(?:from|import)\s*\(?\s*["']([^"']+)["']/g;

export interface Halves {
  /** Paths relative to the project, of tests that start nothing. `npm run test:fast` runs them. */
  readonly fast: readonly string[];
  /** All others. */
  readonly full: readonly string[];
}

/** Sorts the test files by what they import, themselves or through other files of the project. */
export function halves(): Halves {
  const files = globSync("test/**/*.test.ts", { cwd: ROOT }).sort();
  const isFull = (file: string) => [...reachable(resolve(ROOT, file))].some((each) => SLOW.has(each));
  return { fast: files.filter((file) => !isFull(file)), full: files.filter(isFull) };
}

/** Every module that the file loads, by its path or, for packages and Node.js, by its name. */
function reachable(file: string): ReadonlySet<string> {
  const seen = new Set<string>();
  const open = [file];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    if (next.startsWith(ROOT) && next.endsWith(".ts")) open.push(...importsOf(next));
  }
  return seen;
}

const known = new Map<string, readonly string[]>();

function importsOf(file: string): readonly string[] {
  let found = known.get(file);
  if (found === undefined) {
    // Types are imported too, which costs a test of types its place in the fast half, and nothing else.
    const text = existsSync(file) ? readFileSync(file, "utf8") : "";
    found = [...text.matchAll(IMPORT)].map(([, from = ""]) =>
      from.startsWith(".") ? resolve(dirname(file), from) : from,
    );
    known.set(file, found);
  }
  return found;
}

/** The path of a test as `halves` gives it. */
export const nameOfTest = (path: string): string => relative(ROOT, path);
