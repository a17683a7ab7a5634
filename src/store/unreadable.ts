import type { Unreadable } from "../ports/store.ts";

/** Copies are kept so long: the alert on them ends then, or when a person removes them. */
export const SET_ASIDE_KEPT_MS = 30 * 86_400_000;

/** What is wrong with a stored text, without where it is stored. */
export class MalformedText extends Error {}

/** The mark of a newer version is a JSON object whose `v` is greater than the one that this version writes. */
export class NewerText extends MalformedText {
  constructor(found: number, known: number) {
    super(`it has format ${found}, and this version knows up to ${known}`);
  }
}

function whyOf(error: unknown): string {
  if (error instanceof NewerText) return error.message;
  if (error instanceof MalformedText) return `it is damaged: ${error.message}`;
  // The message of the parser quotes the text.
  if (error instanceof SyntaxError) return "it is damaged: it is not JSON";
  // A defect of this program, not of the record.
  throw error;
}

/** Reads records one by one and remembers those that cannot be read, so that each costs itself alone. */
export class RecordReader {
  readonly unreadable: Unreadable[] = [];

  read<T>(shard: number, kind: Unreadable["kind"], key: string, decode: () => T): T | undefined {
    try {
      return decode();
    } catch (error) {
      this.unreadable.push({ shard, kind, key, why: whyOf(error), at: null });
      return undefined;
    }
  }
}

/** JSON that is no object of this version's: the texts that have no `v` are lists. Throws `MalformedText`. */
export function parseList(text: string | null, known = 1): readonly unknown[] {
  const value: unknown = JSON.parse(text ?? "");
  if (Array.isArray(value)) return value;
  if (typeof value === "object" && value !== null && "v" in value && typeof value.v === "number") {
    if (value.v > known) throw new NewerText(value.v, known);
  }
  throw new MalformedText("it is not a list");
}

export const taskRecordKey = (instance: string, taskId: string): string => `${instance}/${taskId}`;

export const nameRecordKey = (projectId: string, name: string): string => `${projectId}/${name}`;

/** What a reader of all shards passed over, by its method: the last reading of each counts. */
export class PassedOver {
  readonly #by = new Map<string, readonly Unreadable[]>();

  set(method: string, unreadable: readonly Unreadable[]): void {
    this.#by.set(method, unreadable);
  }

  /** Those that are set aside, and those that were passed over and are not. */
  with(aside: readonly Unreadable[]): readonly Unreadable[] {
    const all = new Map<string, Unreadable>();
    for (const each of [...aside, ...[...this.#by.values()].flat()]) {
      const place = JSON.stringify([each.shard, each.kind, each.key]);
      if (each.at !== null || !all.has(place)) all.set(place, each);
    }
    return [...all.values()];
  }
}
