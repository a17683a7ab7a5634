import type { Cause } from "../core/cause.ts";
import type { Row } from "./decode.ts";

/** The parameter that moves through a list. Sources disagree on its name and on where it counts from. */
export type PositionName = "start" | "offset";

/** What was learned of a project's API. */
export interface Dialect {
  /** `none`: no name moves through lists, so they are read by spans of time. Null: not known yet. */
  readonly position: PositionName | "none" | null;
  /** The largest page size that it takes, of those that were tried. */
  readonly limit: number;
}

/** Where a project's dialect is kept. */
export interface DialectMemory {
  read(): Dialect | null;
  learned(dialect: Dialect): void;
}

/** What every kind of listed thing has. */
export interface Listed {
  readonly id: string;
  /** Epoch milliseconds; null where unreadable. */
  readonly createdAt: number | null;
}

/** What one page is asked by. Times are epoch milliseconds, null: not sent. */
export interface PageQuery {
  readonly limit: number;
  readonly from: number | null;
  readonly to: number | null;
  readonly position: { readonly name: PositionName; readonly value: number } | null;
}

export interface Page<T> {
  readonly rows: readonly Row<T>[];
  /** What the cloud says that the list holds; a hint. */
  readonly total: number | null;
  readonly cloudNow: number;
}

/** Rejects with a `CloudError`, or with an abort's reason. */
export type FetchPage<T> = (query: PageQuery) => Promise<Page<T>>;

/** Why a list could not be read whole. */
export class Gap extends Error {
  override readonly name = "Gap";
  readonly reason: Cause;

  constructor(reason: Cause, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Nothing that was asked changed what the list shows: it is all there is, or it cannot be read. */
export class Unmoved extends Gap {}
