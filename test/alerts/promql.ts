/** What a PromQL expression names. Not a parser: promtool says whether the expression is one. */
export interface Mentions {
  /** Each selector of a metric, with the labels in its braces. */
  readonly selectors: readonly { readonly metric: string; readonly labels: readonly string[] }[];
  /** Each list of labels: `by (…)`, `on (…)`, `group_left (…)` and their like. */
  readonly lists: readonly {
    readonly keyword: string;
    readonly labels: readonly string[];
    /** The metrics that the list is about: those of the aggregation; of the whole expression for a match. */
    readonly metrics: readonly string[];
  }[];
}

const TOKEN =
  /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|[A-Za-z_][A-Za-z0-9_]*|\d[\w.]*|=~|!~|!=|==|<=|>=|[^\s]/g;
const IDENTIFIER = /^[A-Za-z_]/;
const AGGREGATION = new Set(["by", "without"]);
const MATCHING = new Set(["on", "ignoring", "group_left", "group_right"]);
const WORDS = new Set(["and", "or", "unless", "bool", "offset", "atan2", "inf", "nan", "Inf", "NaN"]);

/** @throws Error on parentheses that do not close. */
export function mentions(expr: string): Mentions {
  const tokens: readonly string[] = expr.replace(/#[^\n]*/g, "").match(TOKEN) ?? [];
  const selectors: { metric: string; labels: string[]; at: number }[] = [];
  const lists: { keyword: string; labels: string[]; from: number; to: number }[] = [];
  let at = 0;
  while (at < tokens.length) {
    const token = tokens[at]!;
    const next = tokens[at + 1];
    if (AGGREGATION.has(token) || MATCHING.has(token)) {
      const end = next === "(" ? closing(tokens, at + 1) : at;
      const labels = tokens.slice(at + 2, end).filter((part) => IDENTIFIER.test(part));
      const ofWhole = MATCHING.has(token) || tokens[end + 1] !== "(";
      const from = ofWhole ? 0 : end + 1;
      lists.push({ keyword: token, labels, from, to: ofWhole ? tokens.length : closing(tokens, from) });
      at = end + 1;
    } else if (!IDENTIFIER.test(token) || WORDS.has(token) || next === "(" || AGGREGATION.has(next ?? "")) {
      at += 1;
    } else {
      const end = next === "{" ? tokens.indexOf("}", at) : at;
      const matchers = tokens.slice(at + 2, end);
      const labels = matchers.filter(
        (part, i) => IDENTIFIER.test(part) && /^[=!]/.test(matchers[i + 1] ?? ""),
      );
      selectors.push({ metric: token, labels, at });
      at = end + 1;
    }
  }
  return {
    selectors: selectors.map(({ metric, labels }) => ({ metric, labels })),
    lists: lists.map(({ keyword, labels, from, to }) => ({
      keyword,
      labels,
      metrics: selectors
        .filter((selector) => selector.at >= from && selector.at < to)
        .map(({ metric }) => metric),
    })),
  };
}

function closing(tokens: readonly string[], open: number): number {
  let depth = 0;
  for (let at = open; at < tokens.length; at += 1) {
    if (tokens[at] === "(") depth += 1;
    if (tokens[at] === ")") depth -= 1;
    if (depth === 0) return at;
  }
  throw new Error(`a parenthesis does not close in ${tokens.join(" ")}`);
}
