import type { Clock } from "../ports/clock.ts";
import { type FileReader, type ReadFile, readSmallFile, sha256 } from "./files.ts";

const LOOK_EVERY_MS = 2000;
const SETTLE_MS = 300;

/**
 * Asks for a reload when a file of the configuration is not what was loaded, until the signal is aborted. It looks at
 * the contents, so it sees edits, replaced files and the symlink swap of a mounted ConfigMap alike, and no inode that
 * is gone can blind it. A change is asked for once, after two looks found the same; what was asked for and failed is
 * not asked for again until the contents change.
 */
export async function watchFiles(options: {
  /** What the last load, good or not, read; asked anew before each look, since a reload may read other files. */
  readonly files: () => readonly ReadFile[];
  readonly onChange: () => void | Promise<void>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly readFile?: FileReader;
}): Promise<void> {
  const { files, onChange, clock, signal, readFile = readSmallFile } = options;
  let asked = "";
  try {
    for (;;) {
      await clock.sleep(LOOK_EVERY_MS, signal);
      const loaded = files();
      const expected = fingerprint(loaded);
      let seen = await look(loaded, readFile);
      if (seen === expected || seen === asked) continue;
      for (let before = ""; seen !== before; ) {
        before = seen;
        await clock.sleep(SETTLE_MS, signal);
        seen = await look(loaded, readFile);
      }
      if (seen === expected) continue;
      asked = seen;
      await onChange();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function look(files: readonly ReadFile[], readFile: FileReader): Promise<string> {
  const now = files.map(async ({ path }): Promise<ReadFile> => {
    try {
      return { path, sha256: sha256(await readFile(path)) };
    } catch {
      return { path, sha256: null };
    }
  });
  return fingerprint(await Promise.all(now));
}

const fingerprint = (files: readonly ReadFile[]): string =>
  files.map(({ path, sha256: hash }) => `${path} ${hash}`).join("\n");
