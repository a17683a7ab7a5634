import { accessSync, constants, mkdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "../../errors.ts";
import { isBusy, storeError } from "./errors.ts";

/** A daemon that is started while the one before it still ends, or was just killed, is not refused. */
const WAIT_MS = 1_000;

/**
 * Takes the right to be the one daemon on a file: a lock of the operating system on `<file>.lock`, which ends
 * with the process however that ends. Returns what gives it back. Throws StoreError `locked`.
 */
export function takeLock(path: string): () => void {
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(`${path}.lock`, { timeout: WAIT_MS });
    const held = lock;
    held.exec("PRAGMA journal_mode = MEMORY");
    held.exec("BEGIN EXCLUSIVE");
    // On a file that it cannot write, SQLite begins without a lock and without a word; a write tells.
    held.exec("PRAGMA user_version = 1");
    return () => held.close();
  } catch (error) {
    lock?.close();
    if (isBusy(error)) {
      throw new StoreError(
        "locked",
        `another daemon already works on the store ${path}: stop that one, give this one a store of its own, or use Redis to share the work`,
        { cause: error },
      );
    }
    throw unwritable(path) ?? storeError(error, path) ?? error;
  }
}

/**
 * The absolute path of a store's file with links resolved, so that two names of one file meet at one lock.
 * Makes the directory that it is to be in. Throws StoreError.
 */
export function placeOf(path: string): string {
  const wanted = resolve(path);
  try {
    makeDirectory(dirname(wanted));
    const existing = statSync(wanted, { throwIfNoEntry: false });
    if (existing === undefined) return join(realpathSync(dirname(wanted)), basename(wanted));
    if (existing.isFile()) return realpathSync(wanted);
  } catch (error) {
    throw directoryError(wanted, error);
  }
  throw new StoreError("mismatch", `the store ${wanted} is not a file: name a file, such as taskwatch.db`);
}

/** One after the other: Node's own recursion never ends where a file system takes no directories, as /proc. */
function makeDirectory(path: string): void {
  const isThere = () => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  if (isThere()) return;
  makeDirectory(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    if (isThere()) return;
    // On a read-only disk Node may say that the directory is missing; its parent knows better.
    accessSync(dirname(path), constants.W_OK);
    throw error;
  }
}

/** The reason that SQLite does not give when it cannot open a file; null if this user may write there. */
export function unwritable(path: string): StoreError | null {
  try {
    accessSync(dirname(path), constants.W_OK);
    if (statSync(path, { throwIfNoEntry: false }) !== undefined) accessSync(path, constants.W_OK);
    return null;
  } catch (error) {
    return directoryError(path, error);
  }
}

function directoryError(path: string, cause: unknown): StoreError {
  const reason = cause instanceof Error && "code" in cause ? cause.code : undefined;
  switch (reason) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new StoreError(
        "read_only",
        `the store ${path} cannot be written: make the file and its directory writable for this user`,
        { cause },
      );
    case "ENOSPC":
    case "EDQUOT":
      return new StoreError("full", `the store ${path} has no space left: free space on its disk`, { cause });
    case "ENOTDIR":
    case "EEXIST":
    case "ELOOP":
    case "ENAMETOOLONG":
      return new StoreError("mismatch", `the store ${path} cannot be there: its directory is not one`, {
        cause,
      });
    default:
      return new StoreError("unavailable", `the store ${path} cannot be opened (${String(reason)})`, {
        cause,
      });
  }
}
