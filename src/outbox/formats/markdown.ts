import type { FormattedEvent } from "../format.ts";
import { digestOf, type Note } from "./note.ts";

/**
 * The chat tools whose Markdown knows no escape show a look-alike instead: what could begin a link, an image, a
 * mention, a colour, code or bold text. Underscores, which are in many task names, mean nothing to them inside a word.
 */
const LOOK_ALIKES: Readonly<Record<string, string>> = {
  "<": "＜",
  ">": "＞",
  "[": "［",
  "]": "］",
  "*": "∗",
  "`": "ˋ",
  "~": "∼",
  "#": "＃",
  "\\": "＼",
  "@": "＠",
  "|": "｜",
};

export const defused = (text: string): string =>
  text.replace(/[<>[\]*`~#\\@|]/g, (found) => LOOK_ALIKES[found] ?? "");

/** How one medium writes Markdown; the texts that it gets hold no markup. */
export interface Dialect {
  title(text: string, severity: Note["severity"]): string;
  fact(name: string, value: string): string;
  line(text: string): string;
  readonly between: string;
}

/** @param cell the most characters of one value */
export function markdown(
  events: readonly FormattedEvent[],
  cell: number,
  dialect: Dialect,
): { readonly title: string; readonly text: string } {
  const { title, severity, notes, lines, link } = digestOf(events, cell);
  const blocks = [
    dialect.title(defused(title), severity),
    ...notes.flatMap((note) => [
      ...(notes.length > 1 ? [dialect.title(defused(note.title), note.severity)] : []),
      ...note.facts.map(({ name, value }) => dialect.fact(name, defused(value))),
    ]),
    ...lines.flatMap(({ texts }) => texts.map((text) => dialect.line(defused(text)))),
    ...(link === null ? [] : [`[Open](${link})`]),
  ];
  return { title: defused(title), text: blocks.join(dialect.between) };
}
