import {
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
import { problemAt, problemAtKey } from "./problem.ts";
import { newMap, newSource, type Path, type Place, pathKey, type Source, type Tree } from "./source.ts";
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
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col };
  };

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
  new Reader(source, env, place).read(document.contents);
  return source;
}

/** Walks the parsed document once, in its order, so that an alias sees the anchors before it. */
class Reader {
  readonly #source: Source;
  readonly #env: Environment;
  readonly #place: (offset: number) => Place;
  readonly #anchors = new Map<string, Node>();
  #aliased = 0;

  constructor(source: Source, env: Environment, place: (offset: number) => Place) {
    this.#source = source;
    this.#env = env;
    this.#place = place;
  }

  read(root: Node): void {
    this.#source.tree = this.#visit(root, [], false);
  }

  #visit(node: unknown, path: Path, aliased: boolean): Tree {
    if (aliased && ++this.#aliased > MOST_ALIASED_VALUES) return this.#tooMuch(path);
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (!target) return this.#noAnchor(path, node.range?.[0] ?? 0);
      if (path.length > MOST_DEPTH) return this.#tooMuch(path);
      return this.#visit(target, path, true);
    }
    if (!isScalar(node) && !isMap(node) && !isSeq(node)) return null;
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node as Node);
    const place = this.#place(node.range?.[0] ?? 0);
    this.#source.values.set(pathKey(path), place);
    if (isScalar(node)) return this.#scalar(node, path, place);
    if (path.length > MOST_DEPTH) return this.#tooMuch(path);
    if (isSeq(node)) return node.items.map((item, index) => this.#visit(item, [...path, index], aliased));
    return this.#map(node.items as Pair[], path, aliased);
  }

  #map(items: readonly Pair[], path: Path, aliased: boolean): Tree {
    const map = newMap();
    for (const { key, value } of items) {
      const text = isScalar(key) ? String(key.value ?? "") : undefined;
      const at = this.#place((key as Node | null)?.range?.[0] ?? 0);
      if (text === undefined) {
        const problem = problemAt(this.#source, path, "a text as key", "a key that is not a text");
        this.#source.problems.push({ ...problem, line: at.line, column: at.column });
        continue;
      }
      const inner = [...path, text];
      const first = this.#source.keys.get(pathKey(inner));
      if (first && Object.hasOwn(map, text)) {
        const problem = problemAtKey(
          this.#source,
          inner,
          "each key once",
          `a key that line ${first.line} has too`,
        );
        this.#source.problems.push({ ...problem, line: at.line, column: at.column });
        continue;
      }
      this.#source.keys.set(pathKey(inner), at);
      map[text] = this.#visit(value, inner, aliased);
      if (value === null) this.#source.values.set(pathKey(inner), at);
    }
    return map;
  }

  #scalar(node: Scalar, path: Path, place: Place): Tree {
    if (isNothing(node)) return null;
    const written = String(node.value);
    if (!written.includes("$")) return written;
    this.#source.values.set(pathKey(path), { ...place, written });
    const { text, faults } = substitute(written, this.#env);
    for (const { found, allowed } of faults) {
      this.#source.problems.push(problemAt(this.#source, path, allowed, found));
      this.#source.broken.add(pathKey(path));
    }
    return text;
  }

  #noAnchor(path: Path, offset: number): Tree {
    this.#source.values.set(pathKey(path), this.#place(offset));
    const allowed = "an anchor (&name) before its alias (*name)";
    this.#source.problems.push(problemAt(this.#source, path, allowed, "an alias without its anchor"));
    this.#source.broken.add(pathKey(path));
    return null;
  }

  #tooMuch(path: Path): Tree {
    const { problems, broken } = this.#source;
    if (!problems.some(({ found }) => found === "aliases that repeat too much")) {
      const allowed = `at most ${MOST_DEPTH} levels, and ${MOST_ALIASED_VALUES} values by aliases`;
      problems.push(problemAt(this.#source, path, allowed, "aliases that repeat too much"));
    }
    broken.add(pathKey(path));
    return null;
  }
}

/** No value, or null: the failsafe schema reads both as text. */
function isNothing(node: Scalar): boolean {
  return (node.type === "PLAIN" || node.type === undefined) && /^(~|null|)$/.test(String(node.value ?? ""));
}

function lineOf(text: string, offset: number): string {
  const end = text.indexOf("\n", offset);
  return text.slice(text.lastIndexOf("\n", offset - 1) + 1, end < 0 ? text.length : end);
}
