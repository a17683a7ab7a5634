import { inspect } from "node:util";

/**
 * A value that must not be shown. Whatever prints it (a template, JSON, a log line, an error) gets `<secret>`;
 * only `reveal()` gives the value, so that every place where a secret leaves can be found by that name.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return "<secret>";
  }

  toJSON(): string {
    return "<secret>";
  }

  [inspect.custom](): string {
    return "<secret>";
  }
}
