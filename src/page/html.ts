/** Text that is HTML already. Made by `html` alone, so that whatever else is put into a page is escaped. */
export class Html {
  readonly text: string;

  private constructor(text: string) {
    this.text = text;
  }

  static join(strings: readonly string[], values: readonly Value[]): Html {
    return new Html(strings.map((text, index) => text + render(values[index])).join(""));
  }
}

/** Null, undefined and false are nothing. */
export type Value = Html | string | number | null | undefined | false | readonly Value[];

/** Puts values into HTML, between tags and within attributes in double quotes; text is escaped. */
export const html = (strings: TemplateStringsArray, ...values: readonly Value[]): Html =>
  Html.join(strings, values);

function render(value: Value): string {
  if (value === null || value === undefined || value === false) return "";
  if (value instanceof Html) return value.text;
  if (Array.isArray(value)) return value.map(render).join("");
  return String(value).replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}
