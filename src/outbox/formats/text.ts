/** At most `most` characters, as people count them; a cut is shown. */
export function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  const characters = Array.from(text);
  return characters.length <= most ? text : `${characters.slice(0, Math.max(0, most - 1)).join("")}…`;
}

export const bytes = (text: string): number => Buffer.byteLength(text, "utf8");

/** How long one value may be, tried from the left until the message fits. */
const CELLS = [500, 250, 120, 80, 50, 30, 16, 8] as const;

/**
 * The fullest rendering that fits. Throws when even the shortest values are too long: a format's `maxEvents` is to
 * be such that this cannot be.
 * @param render with every value cut to `cell` characters
 */
export function fitted(render: (cell: number) => string, fits: (text: string) => boolean): string {
  for (const cell of CELLS) {
    const text = render(cell);
    if (fits(text)) return text;
  }
  throw new Error("the message is too long however short its values are");
}
