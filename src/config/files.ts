import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { resolve } from "node:path";

/** A file that the configuration came from, with the hash of what was read; null when it could not be read. */
export interface ReadFile {
  /** Absolute. */
  readonly path: string;
  readonly sha256: string | null;
}

/** Bytes of a file; rejects with an error that has a `code`, as node:fs does. */
export type FileReader = (path: string) => Promise<Uint8Array>;

const LARGEST_FILE = 4 * 1024 * 1024;

/** Reads a file of at most 4 MiB; code EFBIG when it is larger, so that a device or a log given by mistake ends. */
export async function readSmallFile(path: string): Promise<Uint8Array> {
  await using handle = await open(path, "r");
  const parts: Buffer[] = [];
  let size = 0;
  while (size <= LARGEST_FILE) {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(64 * 1024), 0, 64 * 1024, null);
    if (bytesRead === 0) return Buffer.concat(parts);
    parts.push(buffer.subarray(0, bytesRead));
    size += bytesRead;
  }
  throw Object.assign(new Error("the file is too large"), { code: "EFBIG" });
}

export const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex");

export type Content =
  | { readonly ok: true; readonly text: string }
  /** `missing`: there is no such file. `reason` reads on after "a file". */
  | { readonly ok: false; readonly missing: boolean; readonly reason: string };

/** Reads each file once and remembers which. */
export class FileSet {
  readonly #reader: FileReader;
  readonly #contents = new Map<string, Promise<Content>>();
  readonly #hashes = new Map<string, string | null>();

  constructor(reader: FileReader = readSmallFile) {
    this.#reader = reader;
  }

  read(path: string): Promise<Content> {
    const absolute = resolve(path);
    let content = this.#contents.get(absolute);
    if (!content) {
      content = this.#load(absolute);
      this.#contents.set(absolute, content);
    }
    return content;
  }

  list(): readonly ReadFile[] {
    return [...this.#hashes].map(([path, hash]) => ({ path, sha256: hash }));
  }

  async #load(path: string): Promise<Content> {
    this.#hashes.set(path, null);
    let data: Uint8Array;
    try {
      data = await this.#reader(path);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
      return {
        ok: false,
        missing: code === "ENOENT" || code === "ENOTDIR",
        reason: REASONS[code] ?? `that cannot be read (${code})`,
      };
    }
    this.#hashes.set(path, sha256(data));
    try {
      return { ok: true, text: new TextDecoder("utf-8", { fatal: true }).decode(data) };
    } catch {
      return { ok: false, missing: false, reason: "that is not UTF-8 text" };
    }
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "that does not exist",
  ENOTDIR: "that does not exist",
  EISDIR: "that is a directory",
  EACCES: "that may not be read",
  EPERM: "that may not be read",
  EFBIG: "of more than 4 MiB",
};
