import { maskParams } from "./params.ts";

/** What `privacy` lets events, API, page and log show. */
export interface Privacy {
  readonly taskParams: boolean;
  readonly userNames: boolean;
}

type FieldValue = string | number | null;

interface FieldRule {
  /** The key in the cloud's rows and in events. */
  readonly key: string;
  /**
   * `time`: epoch milliseconds by the cloud's clock, shown as RFC 3339. `name`: a short text. `params`: a text of any
   * length, usually JSON.
   */
  readonly kind: "time" | "name" | "params";
  /** The privacy setting without which the field is neither kept nor shown. */
  readonly privacy: keyof Privacy | null;
  /** Returns the value to keep. A result other than `known` is news. */
  readonly keep: (known: FieldValue, seen: FieldValue) => FieldValue;
  /** The value belongs to the status: a new status takes the one that it came with, even null. */
  readonly ofStatus?: true;
}

const newest = (known: FieldValue, seen: FieldValue): FieldValue => seen ?? known;
/** A smaller time beside the same status is an old copy. */
const greatest = (known: FieldValue, seen: FieldValue): FieldValue =>
  seen === null || Number(seen) <= Number(known ?? 0) ? known : seen;
/** Parameters do not change, and masking them costs. */
const firstMasked = (known: FieldValue, seen: FieldValue): FieldValue =>
  known ?? (typeof seen === "string" ? maskParams(seen) : null);

/**
 * The fields that a task may have beside id, name and status. The cloud may leave out each of them. This table says
 * how a field is read, compared, stored, hidden and shown; a new row is all that a new field needs in the source.
 * Events show the fields in this order.
 */
export const TASK_FIELDS = {
  userName: { key: "user_name", kind: "name", privacy: "userNames", keep: newest },
  userId: { key: "user_id", kind: "name", privacy: "userNames", keep: newest },
  createdAt: { key: "created_at", kind: "time", privacy: null, keep: newest },
  /** Time of the last update. Tasks that still run have it too: it is never a sign that a task ended. */
  updatedAt: { key: "updated_at", kind: "time", privacy: null, keep: greatest, ofStatus: true },
  /** Events and the state have them masked and capped. */
  params: { key: "params", kind: "params", privacy: "taskParams", keep: firstMasked },
} as const satisfies Readonly<Record<string, FieldRule>>;

type Table = typeof TASK_FIELDS;
type Name = keyof Table;

/** Null where the cloud gives no readable value, or where privacy hides it. */
export type TaskFields = {
  readonly [N in Name]: (Table[N]["kind"] extends "time" ? number : string) | null;
};

/** The same fields under the keys of events. Times are RFC 3339. */
export type ShownTaskFields = { readonly [N in Name as Table[N]["key"]]: string | null };

export interface TaskField extends FieldRule {
  readonly name: Name;
  readonly key: keyof ShownTaskFields;
}

const FIELDS = Object.entries(TASK_FIELDS).map(([name, rule]) => ({ name, ...rule })) as readonly TaskField[];

/** Adds the fields to `task`, each with the value that `read` returns for it. */
export function withFields<T extends object>(
  task: T,
  read: (field: TaskField) => FieldValue,
): T & TaskFields {
  const values = task as Record<string, unknown>;
  for (const field of FIELDS) values[field.name] = read(field);
  // Every name of the type is a row of the table.
  return task as T & TaskFields;
}

/** The fields under the keys of events, each with the value that `show` returns for it. */
export const shownTaskFields = <T>(show: (field: TaskField) => T): Record<keyof ShownTaskFields, T> =>
  Object.fromEntries(FIELDS.map((field) => [field.key, show(field)])) as Record<keyof ShownTaskFields, T>;

export const NO_FIELDS: TaskFields = withFields({}, () => null);

export const isHidden = ({ privacy }: TaskField, settings: Privacy): boolean =>
  privacy !== null && !settings[privacy];

/** True if a sighting in the same status tells a value that is not known. */
export function fieldsDiffer(known: TaskFields, seen: TaskFields, settings: Privacy): boolean {
  for (const field of FIELDS) {
    const before = known[field.name];
    const now = seen[field.name];
    if (isHidden(field, settings) ? before !== null : now !== before && field.keep(before, now) !== before) {
      return true;
    }
  }
  return false;
}

/** The values to keep after a sighting; `moved`: in another status than the known one. */
export const mergeFields = (
  known: TaskFields,
  seen: TaskFields,
  moved: boolean,
  settings: Privacy,
): TaskFields =>
  withFields({}, (field) => {
    if (isHidden(field, settings)) return null;
    return moved && field.ofStatus ? seen[field.name] : field.keep(known[field.name], seen[field.name]);
  });
