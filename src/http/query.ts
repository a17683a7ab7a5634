import { nearest } from "../util/nearest.ts";

/** A parameter that is not what it may be. */
export interface ParameterProblem {
  /** `query.state`, `body.by`, … */
  readonly where: string;
  readonly found: string;
  readonly allowed: string;
}

/** Answered with 400 and what is wrong, all of it at once. */
export class BadRequest extends Error {
  readonly statusCode = 400;
  readonly problems: readonly ParameterProblem[];

  constructor(problems: readonly ParameterProblem[]) {
    super(problems.map(({ where, found, allowed }) => `${where}: ${found}; allowed: ${allowed}`).join("\n"));
    this.problems = problems;
  }
}

/** Reads one parameter; null where it is not what `allowed` says. */
export interface Parameter<T> {
  readonly allowed: string;
  read(text: string): T | null;
  /** What an absent one is. */
  readonly absent: T;
}

type Values<P> = { readonly [K in keyof P]: P[K] extends Parameter<infer T> ? T : never };

/** @throws BadRequest */
export function readParameters<P extends Readonly<Record<string, Parameter<unknown>>>>(
  place: "query" | "body",
  given: unknown,
  parameters: P,
): Values<P> {
  const problems: ParameterProblem[] = [];
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new BadRequest([{ where: place, found: kindOf(given, place), allowed: "an object" }]);
  }
  const fields = new Map(Object.entries(given));
  for (const name of fields.keys()) {
    if (Object.hasOwn(parameters, name)) continue;
    const names = Object.keys(parameters);
    const meant = nearest(name, names);
    problems.push({
      where: `${place}.${shown(name)}`,
      found: `there is no such parameter${meant === undefined ? "" : `; did you mean ${meant}?`}`,
      allowed: names.join(", ") || "none",
    });
  }
  const values = Object.entries(parameters).map(([name, parameter]) => {
    const value = fields.get(name);
    if (value === undefined || (place === "body" && value === null)) return [name, parameter.absent];
    const read = typeof value === "string" ? parameter.read(value) : null;
    if (read === null) {
      const found = typeof value === "string" ? JSON.stringify(shown(value)) : kindOf(value, place);
      problems.push({ where: `${place}.${name}`, found, allowed: parameter.allowed });
    }
    return [name, read];
  });
  if (problems.length > 0) throw new BadRequest(problems);
  return Object.fromEntries(values);
}

const LONGEST_SHOWN = 80;
const shown = (text: string): string =>
  text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN).toWellFormed()}…` : text;

function kindOf(value: unknown, place: "query" | "body"): string {
  if (Array.isArray(value)) return place === "query" ? "given several times" : "a list";
  return value === undefined || value === null ? "nothing" : `a ${typeof value}`;
}

export const oneOf = <T extends string>(allowed: readonly T[], absent: T): Parameter<T> => ({
  allowed: allowed.join(", "),
  read: (text) => allowed.find((each) => each === text) ?? null,
  absent,
});

/** Separated by commas. */
export const someOf = <T extends string>(allowed: readonly T[]): Parameter<readonly T[] | null> => ({
  allowed: `${allowed.join(", ")}; several with commas between them`,
  read(text) {
    const words = text.split(",");
    const found = words.flatMap((word) => allowed.find((each) => each === word) ?? []);
    return found.length === words.length ? found : null;
  },
  absent: null,
});

export const wholeNumber = (least: number, most: number, absent: number): Parameter<number> => ({
  allowed: `a whole number from ${least} to ${most}`,
  read(text) {
    const number = /^\d{1,9}$/.test(text) ? Number(text) : -1;
    return number >= least && number <= most ? number : null;
  },
  absent,
});

/** @param what it is, for the message */
export const someText = (what: string, longest: number): Parameter<string | null> => ({
  allowed: `${what}, of 1 to ${longest} characters`,
  read: (text) => (text.trim() !== "" && text.length <= longest ? text.toWellFormed() : null),
  absent: null,
});

/** A place in a list that an earlier answer gave. Opaque to the caller; `is` tells whether the content is of this list. */
export function cursorParameter<T>(
  list: string,
  is: (content: unknown) => content is T,
): Parameter<T | null> {
  return {
    allowed: "a cursor that an earlier answer gave",
    read(text) {
      try {
        const [of, content] = JSON.parse(Buffer.from(text, "base64url").toString()) as [unknown, unknown];
        return of === list && is(content) ? content : null;
      } catch {
        return null;
      }
    },
    absent: null,
  };
}

export const writeCursor = (list: string, content: unknown): string =>
  Buffer.from(JSON.stringify([list, content])).toString("base64url");
