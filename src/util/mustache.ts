/*
 * A template without logic: `{{a.b}}` puts in a value, `{{#a}}…{{/a}}` repeats for a list, goes into a map, or shows
 * its content where the value is there and true, `{{^a}}…{{/a}}` shows it where it is not, `{{! … }}` is a remark.
 * `{{.}}` is the value itself. A name is looked for in the innermost map first, then further out.
 */

export type Part =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "value"; readonly path: readonly string[]; readonly at: Place }
  | {
      readonly kind: "section";
      readonly path: readonly string[];
      readonly inverted: boolean;
      readonly parts: readonly Part[];
      readonly at: Place;
    };

export interface Place {
  readonly line: number;
  readonly column: number;
}

export class TemplateError extends Error {
  override readonly name = "TemplateError";
  /** With the place in the template, where there is one. */
  readonly found: string;
  readonly allowed: string;

  constructor(found: string, allowed: string, at: Place | null = null) {
    const where = at === null ? "" : ` in line ${at.line}, column ${at.column} of it`;
    super(`found ${found}${where}; allowed: ${allowed}`);
    this.found = `${found}${where}`;
    this.allowed = allowed;
  }
}

/** Sections within sections: more than anybody reads, and few enough that no template exhausts the stack. */
const DEPTH = 20;
/** Parts put out for one rendering: sections that repeat within each other multiply, also where they show nothing. */
const PARTS = 200_000;

const NAME = /^(?:\.|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)$/;

/** Throws `TemplateError`. */
export function parseTemplate(source: string): readonly Part[] {
  interface Open {
    readonly parts: Part[];
    readonly path: string;
    readonly inverted: boolean;
    readonly at: Place;
  }
  const root: Part[] = [];
  const open: Open[] = [];
  const into = () => open.at(-1)?.parts ?? root;
  let from = 0;
  for (;;) {
    const start = source.indexOf("{{", from);
    const text = source.slice(from, start < 0 ? undefined : start);
    if (text !== "") into().push({ kind: "text", text });
    if (start < 0) break;
    const at = placeOf(source, start);
    const end = source.indexOf("}}", start);
    if (end < 0) throw new TemplateError("{{ without }} after it", "{{name}}", at);
    const tag = source.slice(start + 2, end).trim();
    from = end + 2;
    if (tag.startsWith("!")) continue;
    const sign = /^[#^/]/.exec(tag)?.[0] ?? "";
    const name = tag.slice(sign.length).trim();
    if (!NAME.test(name)) {
      throw new TemplateError(
        `{{${tag.slice(0, 40)}}}`,
        "{{name}}, {{#name}}, {{^name}}, {{/name}} with a name such as data.task.name, {{.}}, {{! a remark }}",
        at,
      );
    }
    const path = name === "." ? [] : name.split(".");
    if (sign === "#" || sign === "^") {
      if (open.length === DEPTH)
        throw new TemplateError(`{{${sign}${name}}}`, `at most ${DEPTH} sections within each other`, at);
      open.push({ parts: [], path: name, inverted: sign === "^", at });
    } else if (sign === "/") {
      const section = open.pop();
      if (section === undefined)
        throw new TemplateError(`{{/${name}}}`, `{{#${name}}} before it: no section is open`, at);
      if (section.path !== name)
        throw new TemplateError(`{{/${name}}}`, `{{/${section.path}}}, which is open`, at);
      const { parts, inverted } = section;
      into().push({ kind: "section", path, inverted, parts, at: section.at });
    } else into().push({ kind: "value", path, at });
  }
  const [unclosed] = open;
  if (unclosed)
    throw new TemplateError(
      `a section ${unclosed.path} without its end`,
      `{{/${unclosed.path}}} after it`,
      unclosed.at,
    );
  return root;
}

function placeOf(source: string, index: number): Place {
  const before = source.slice(0, index).split("\n");
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

/** The innermost first. */
type Scope = readonly unknown[];

/**
 * Missing and null give the empty text; maps and lists are not shown. Every value goes through `quote`. Throws
 * `TemplateError` when there is more than `most` characters of it.
 */
export function renderTemplate(
  parts: readonly Part[],
  root: unknown,
  quote: (text: string) => string,
  most: number,
): string {
  const output = new Output(most);
  renderInto(output, parts, [root], quote);
  return output.text;
}

class Output {
  text = "";
  readonly #most: number;
  #parts = 0;

  constructor(most: number) {
    this.#most = most;
  }

  add(text: string): void {
    this.#parts++;
    this.text += text;
    if (this.text.length > this.#most)
      throw new TemplateError("more text", `at most ${this.#most} characters`);
    if (this.#parts > PARTS)
      throw new TemplateError("sections that repeat each other", `at most ${PARTS} parts in all`);
  }
}

function renderInto(
  output: Output,
  parts: readonly Part[],
  scope: Scope,
  quote: (text: string) => string,
): void {
  for (const part of parts) {
    if (part.kind === "text") output.add(part.text);
    else if (part.kind === "value") output.add(quote(asText(lookUp(scope, part.path))));
    else {
      for (const inner of scopesOf(lookUp(scope, part.path), part.inverted, scope)) {
        output.add("");
        renderInto(output, part.parts, inner, quote);
      }
    }
  }
}

/** In what, and how often, the content of a section is rendered. */
function scopesOf(value: unknown, inverted: boolean, scope: Scope): readonly Scope[] {
  const empty = value === undefined || value === null || value === false || value === "";
  if (Array.isArray(value)) {
    if (inverted) return value.length === 0 ? [scope] : [];
    return value.map((item) => [item, ...scope]);
  }
  if (inverted || empty) return inverted === empty ? [scope] : [];
  return [[value, ...scope]];
}

function asText(value: unknown): string {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? String(value)
    : "";
}

function lookUp(scope: Scope, path: readonly string[]): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return scope[0];
  const holder = scope.find((one) => has(one, first));
  let value = holder === undefined ? undefined : member(holder, first);
  for (const key of rest) value = member(value, key);
  return value;
}

function has(value: unknown, key: string): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.hasOwn(value, key);
}

function member(value: unknown, key: string): unknown {
  return has(value, key) ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
}

/**
 * Names that are nowhere in a sample which has everything, and maps and lists that are used as values. Throws
 * `TemplateError` at the first.
 */
export function checkNames(parts: readonly Part[], sample: unknown, scope: Scope = [sample]): void {
  for (const part of parts) {
    if (part.kind === "text") continue;
    const value = lookUp(scope, part.path);
    const name = part.path.join(".") || ".";
    if (value === undefined) throw new TemplateError(name, "names that an event has", part.at);
    if (part.kind === "value") {
      if (typeof value === "object" && value !== null)
        throw new TemplateError(
          `${name} as a value`,
          `a section {{#${name}}}, or one of ${keysOf(value, name)}`,
          part.at,
        );
      continue;
    }
    const inner = part.inverted ? scope : [Array.isArray(value) ? value[0] : value, ...scope];
    checkNames(part.parts, sample, inner);
  }
}

function keysOf(value: object, name: string): string {
  const keys = Object.keys((Array.isArray(value) ? value[0] : value) as object);
  return keys.map((key) => (Array.isArray(value) ? key : `${name}.${key}`)).join(", ");
}
