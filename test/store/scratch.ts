import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";

/** Folders and small disks that are gone when the test ends. */
export interface Scratch {
  folder(): string;
  /** A disk of its own of so many kilobytes. Needs the right to mount. */
  disk(kilobytes: number): string;
  grow(disk: string, kilobytes: number): void;
  /** From now on nothing in the folder can be written. */
  freeze(folder: string): void;
}

export const canMount = process.getuid?.() === 0 && tryMount();

export function useScratch(): Scratch {
  const undo: (() => void)[] = [];
  afterEach(() => {
    for (const step of undo.splice(0).reverse()) step();
  });
  const folder = () => {
    const path = mkdtempSync(join(tmpdir(), "taskwatch-store-"));
    undo.push(() => rmSync(path, { recursive: true, force: true }));
    return path;
  };
  return {
    folder,
    disk(kilobytes) {
      const path = folder();
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=${kilobytes}k`, "none", path]);
      undo.push(() => execFileSync("umount", ["-l", path]));
      return path;
    },
    grow(path, kilobytes) {
      execFileSync("mount", ["-o", `remount,size=${kilobytes}k`, path]);
    },
    freeze(path) {
      if (canMount) {
        execFileSync("mount", ["--bind", path, path]);
        undo.push(() => execFileSync("umount", ["-l", path]));
        execFileSync("mount", ["-o", "remount,bind,ro", path]);
      } else {
        chmodSync(path, 0o555);
        undo.push(() => chmodSync(path, 0o755));
      }
    },
  };
}

function tryMount(): boolean {
  const path = mkdtempSync(join(tmpdir(), "taskwatch-mount-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "none", path], { stdio: "ignore" });
    execFileSync("umount", [path]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}
