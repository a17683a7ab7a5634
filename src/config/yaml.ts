import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
} from "yaml";
import { problemAt } from "./problem.ts";
import {
  type Located,
  newMap,
  newSource,
  type Path,
  type Place,
  type Problem,
  pathKey,
  type Source,
  type Tree,
} from "./source.ts";
import { type Environment, substitute } from "./substitute.ts";

/** Aliases may repeat parts of the file; beyond this many values it is a mistake or an attack. */
const MOST_ALIASED_VALUES = 100_000;
const MOST_DEPTH = 32;

/** What the parser's codes mean. Its own messages quote the file, which can hold secrets. */
const SYNTAX: Readonly<Record<string, readonly [found: string, allowed: string]>> = {
  TAB_AS_INDENT: ["a tab in the indentation", "spaces"],
  BAD_INDENT: ["a line with the wrong indentation", "the keys of one map in one column"],
  MULTIPLE_DOCS: ["a second document", "one document"],
  BLOCK_AS_IMPLICIT_KEY: ["a map that begins inside a line", "one key and its value on a line"],
  MULTILINE_IMPLICIT_KEY: ["a key over several lines", "a key on one line"],
  BAD_SCALAR_START: ["a character that must be quoted", "text in quotes"],
  MISSING_CHAR: ["an unfinished value", "a closing quote, bracket or comma"],
  BAD_DQ_ESCAPE: ["an unknown escape in double quotes", "a known escape, or single quotes"],
  NON_STRING_KEY: ["a key that is not a text", "a text as key"],
  TAG_RESOLVE_FAILED: ["a tag", "values without tags"],
  RESOURCE_EXHAUSTION: ["values nested too deep", `at most ${MOST_DEPTH} levels`],
};

/** Parses YAML (and so JSON) and puts variables in. Pure; the problems are in the result. */
export function parseYaml(file: string, text: string, env: Environment): Source {
  const source = newSource(file);
  const lines = new LineCounter();
  const document = parseDocument(text, {
    schema: "failsafe",
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter: lines,
    // Silent would also keep a second document quiet.
    logLevel: "error",
  });
  // After the first error the parser is out of step, and what else it says is about that.
  for (const { code, pos } of document.errors.length > 0 ? document.errors.slice(0, 1) : document.warnings) {
    const { line, col } = lines.linePos(pos[0]);
    const [found, allowed] = SYNTAX[code] ?? ["something that is not YAML", "valid YAML or JSON"];
    const hint = lineOf(text, pos[0]).includes("${")
      ? `; inside { } and [ ] a variable needs quotes: "\${NAME}"`
      : "";
    source.problems.push({ file, line, column: col, path: "", found, allowed: `${allowed}${hint}` });
  }
  if (source.problems.length > 0) return source;

  const allowed = "a map with at least the key projects";
  if (document.contents === null || (isScalar(document.contents) && isNothing(document.contents))) {
    source.problems.push({ file, line: 1, column: 1, path: "", found: "an empty file", allowed });
    return source;
  }
  const reader = new Reader(source, env, document.contents, lines);
  source.locate = (path) => reader.locate(path);
  source.tree = reader.read();
  return source;
}

/** Walks the parsed document once, in its order, so that an alias sees the anchors before it. */
class Reader {
  readonly #source: Source;
  readonly #env: Environment;
  readonly #root: Node;
  readonly #lines: LineCounter;
  readonly #anchors = new Map<string, Node>();
  readonly #targets = new Map<Alias, Node>();
  #aliased = 0;

  constructor(source: Source, env: Environment, root: Node, lines: LineCounter) {
    this.#source = source;
    this.#env = env;
    this.#root = root;
    this.#lines = lines;
  }

  read(): Tree {
    return this.#visit(this.#root, [], false);
  }

  /** Finds the place of a value in the parsed document; asked only where there is a problem. */
  locate(path: Path): Located | undefined {
    let node: unknown = this.#root;
    let key: unknown = node;
    for (const step of path) {
      const container = isAlias(node) ? this.#targets.get(node) : node;
      if (isMap(container)) {
        const pair: Pair | undefined = (container.items as Pair[]).find((item) => keyOf(item) === step);
        if (!pair) return undefined;
        key = pair.key;
        node = pair.value ?? pair.key;
      } else if (isSeq(container) && typeof step === "number" && step < container.items.length) {
        node = container.items[step];
        key = node;
      } else {
        return undefined;
      }
    }
    const scalar = isAlias(node) ? this.#targets.get(node) : node;
    const value = this.#place(node);
    const written = isScalar(scalar) ? { written: String(scalar.value) } : {};
    return { key: this.#place(key), value: { ...value, ...written } };
  }

  #place(node: unknown): Place {
    const { line, col } = this.#lines.linePos((node as Node | null)?.range?.[0] ?? 0);
    return { file: this.#source.file, line, column: col };
  }

  #visit(node: unknown, path: Path, aliased: boolean): Tree {
    if (aliased && ++this.#aliased > MOST_ALIASED_VALUES) return this.#refuse(path, TOO_MUCH);
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (!target) return this.#refuse(path, NO_ANCHOR);
      if (path.length > MOST_DEPTH) return this.#refuse(path, TOO_MUCH);
      this.#targets.set(node, target);
      return this.#visit(target, path, true);
    }
    if (!isScalar(node) && !isMap(node) && !isSeq(node)) return null;
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node as Node);
    if (isScalar(node)) return this.#scalar(node, path);
    if (path.length > MOST_DEPTH) return this.#refuse(path, TOO_MUCH);
    if (isSeq(node)) return node.items.map((item, index) => this.#visit(item, [...path, index], aliased));
    return this.#map(node.items as Pair[], path, aliased);
  }

  #map(items: readonly Pair[], path: Path, aliased: boolean): Tree {
    const map = newMap();
    for (const pair of items) {
      const key = keyOf(pair);
      if (key === undefined) {
        this.#addAt(pair, problemAt(this.#source, path, "a text as key", "a key that is not a text"));
      } else if (Object.hasOwn(map, key)) {
        const inner = [...path, key];
        const found = `a key that line ${this.locate(inner)?.key.line} has too`;
        this.#addAt(pair, problemAt(this.#source, inner, "each key once", found));
      } else {
        map[key] = this.#visit(pair.value, [...path, key], aliased);
      }
    }
    return map;
  }

  #addAt(pair: Pair, problem: Problem): void {
    const { line, column } = this.#place(pair.key);
    this.#source.problems.push({ ...problem, line, column });
  }

  #scalar(node: Scalar, path: Path): Tree {
    if (isNothing(node)) return null;
    const written = String(node.value);
    if (!written.includes("$")) return written;
    const { text, faults } = substitute(written, this.#env);
    for (const { found, allowed } of faults) {
      this.#source.problems.push(problemAt(this.#source, path, allowed, found));
      this.#source.broken.add(pathKey(path));
    }
    return text;
  }

  #refuse(path: Path, [found, allowed]: readonly [string, string]): Tree {
    const { problems, broken } = this.#source;
    // A bomb is one mistake, however many places it goes off at.
    if (found === NO_ANCHOR[0] || !problems.some((problem) => problem.found === found)) {
      problems.push(problemAt(this.#source, path, allowed, found));
    }
    broken.add(pathKey(path));
    return null;
  }
}

const NO_ANCHOR = ["an alias without its anchor", "an anchor (&name) before its alias (*name)"] as const;
const TOO_MUCH = [
  "aliases that repeat too much",
  `at most ${MOST_DEPTH} levels, and ${MOST_ALIASED_VALUES} values by aliases`,
] as const;

const keyOf = ({ key }: Pair): string | undefined => (isScalar(key) ? String(key.value ?? "") : undefined);

/** No value, or null: the failsafe schema reads both as text. */
function isNothing(node: Scalar): boolean {
  return (node.type === "PLAIN" || node.type === undefined) && /^(~|null|)$/.test(String(node.value ?? ""));
}

function lineOf(text: string, offset: number): string {
  const end = text.indexOf("\n", offset);
  return text.slice(text.lastIndexOf("\n", offset - 1) + 1, end < 0 ? text.length : end);
}
