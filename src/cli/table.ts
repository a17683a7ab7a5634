import stringWidth from "string-width";
import { printable } from "../views/printable.ts";

export interface Column {
  readonly title: string;
  readonly align?: "right";
  /** Cut only where nothing else helps, such as an id, which somebody will want to copy. */
  readonly whole?: true;
  /** Text to be read whole, however long: for a last column. */
  readonly uncut?: true;
}

/** Between columns. */
const GAP = "  ";
/** No cell is wider, whatever a name holds. */
const WIDEST = 64;
/** Columns shrink to this, not below. */
const NARROWEST = 8;

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/**
 * Returns the text, or its beginning and `…`, in so many columns at most. Never cuts a character in two. Expects
 * printable text: `string-width` does not count escape sequences.
 */
export function cut(text: string, width: number): string {
  // Far more than fits need not be measured.
  const near = text.length > 40 * width ? text.slice(0, 40 * width) : text;
  if (near === text && stringWidth(text) <= width) return text;
  let kept = "";
  let used = 0;
  for (const { segment } of graphemes.segment(near)) {
    const next = used + stringWidth(segment);
    if (next > width - 1) break;
    kept += segment;
    used = next;
  }
  return `${kept}…`;
}

/**
 * Lines of a table, the titles first. Cells may hold any text: what would drive a terminal is shown escaped.
 * @param width columns of the terminal; no line is longer. Null: no line is cut to fit, single cells still are.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number | null,
): readonly string[] {
  const lines = [columns.map(({ title }) => title), ...rows].map((cells) =>
    columns.map(({ uncut }, index) => {
      const text = printable(cells[index] ?? "");
      return uncut ? text : cut(text, WIDEST);
    }),
  );
  const natural = columns.map((_, index) =>
    lines.reduce((most, cells) => Math.max(most, stringWidth(cells[index] ?? "")), 0),
  );
  const widths = width === null ? natural : shrink(columns, natural, width);
  return lines.map((cells) => {
    const padded = columns.map((column, index) => {
      const cell = cut(cells[index] ?? "", widths[index] ?? 0);
      const space = " ".repeat(Math.max(0, (widths[index] ?? 0) - stringWidth(cell)));
      return column.align === "right" ? space + cell : cell + space;
    });
    const line = padded.join(GAP).trimEnd();
    return width === null ? line : cut(line, width);
  });
}

/** Takes from the widest column until all fits; from the ones to keep whole only when the others gave what they could. */
function shrink(columns: readonly Column[], natural: readonly number[], width: number): readonly number[] {
  const widths = [...natural];
  let excess = widths.reduce((sum, each) => sum + each, 0) + GAP.length * (columns.length - 1) - width;
  for (const whole of [false, true]) {
    while (excess > 0) {
      let widest = -1;
      for (const [index, each] of widths.entries()) {
        const mayGive = (columns[index]?.whole ?? false) === whole && each > NARROWEST;
        if (mayGive && each > (widths[widest] ?? 0)) widest = index;
      }
      if (widest < 0) break;
      widths[widest] = (widths[widest] ?? 0) - 1;
      excess -= 1;
    }
  }
  return widths;
}
