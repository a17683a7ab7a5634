import { StoreError, type StoreErrorCode } from "../../errors.ts";

const BUSY = 5;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;
/** Growing the shared memory file failed: with WAL this is where a full disk often shows first. */
const IOERR_SHMSIZE = 4874;

/** Result codes that speak of the file or its disk, not of the statement. */
const CODES: ReadonlyMap<number, StoreErrorCode> = new Map([
  [BUSY, "unavailable"],
  [READONLY, "read_only"],
  [IOERR, "unavailable"],
  [CORRUPT, "corrupt"],
  [FULL, "full"],
  [CANTOPEN, "unavailable"],
  [NOTADB, "corrupt"],
  [IOERR_SHMSIZE, "full"],
]);

/** The extended result code of an error of node:sqlite; null for any other error. */
export function sqliteCode(error: unknown): number | null {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number"
    ? error.errcode
    : null;
}

export const isBusy = (error: unknown): boolean => ((sqliteCode(error) ?? 0) & 0xff) === BUSY;

/** A StoreError for what the file or its disk refused; null where the statement itself is wrong. */
export function storeError(error: unknown, path: string): StoreError | null {
  if (error instanceof StoreError) return error;
  const extended = sqliteCode(error);
  if (extended === null) return null;
  const code = CODES.get(extended) ?? CODES.get(extended & 0xff);
  if (code === undefined) return null;
  return new StoreError(code, `the store ${path} ${say(code, (error as Error).message)}`, { cause: error });
}

function say(code: StoreErrorCode, message: string): string {
  switch (code) {
    case "full":
      return "has no space left, nothing was written: free space on its disk";
    case "read_only":
      return "cannot be written: make the file and its directory writable for this user";
    case "corrupt":
      return `is damaged (${message}): restore it from a backup, or move it away to start with an empty one`;
    default:
      return `does not answer: ${message}`;
  }
}
