/** What a terminal acts on instead of showing it, or what turns the text around it: controls, formats, lone halves. */
const ACTIVE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

const NAMED: ReadonlyMap<string, string> = new Map([
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

const shown = (character: string): string =>
  NAMED.get(character) ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;

/** Text from outside on one line that shows what is in it: a name must not move the cursor or forge a line. */
export const printable = (text: string): string => text.replace(ACTIVE, shown);

/** The same for text of several lines. */
export const printableLines = (text: string): string =>
  text.replace(ACTIVE, (character) => (character === "\n" ? character : shown(character)));

/** JSON that is safe on a terminal too; `JSON.stringify` leaves everything from DEL on as it is. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(ACTIVE, (character) =>
    character === "\n"
      ? character
      : [...Array(character.length).keys()]
          .map((unit) => `\\u${character.charCodeAt(unit).toString(16).padStart(4, "0")}`)
          .join(""),
  );
}
