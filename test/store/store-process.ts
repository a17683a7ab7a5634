import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";

const SCRIPT = fileURLToPath(new URL("./daemon-process.ts", import.meta.url));

/** A daemon's hold of a store, in a process of its own that can be killed. */
export interface StoreProcess {
  readonly lines: readonly string[];
  /** Resolves with the line that makes so many; rejects when the process ends before. */
  line(count: number): Promise<string>;
  kill(): Promise<void>;
}

/** `hold` opens the store and keeps it; `write` also commits without a rest, from that number on. */
export type Errand = { readonly kind: "hold" } | { readonly kind: "write"; readonly from: number };

export function useProcesses(): (path: string, errand: Errand) => StoreProcess {
  const running: ChildProcess[] = [];
  afterEach(async () => {
    for (const child of running.splice(0)) await end(child);
  });
  return (path, errand) => {
    const child = spawn(process.execPath, [SCRIPT, path, JSON.stringify(errand)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    running.push(child);
    const lines: string[] = [];
    const reader = createInterface({ input: child.stdout });
    const closed = once(reader, "close");
    let ended = false;
    closed.then(
      () => {
        ended = true;
      },
      () => {},
    );
    reader.on("line", (line) => lines.push(line));
    return {
      lines,
      async line(count) {
        while (lines.length < count && !ended) await Promise.race([once(reader, "line"), closed]);
        const line = lines[count - 1];
        if (line === undefined) throw new Error(`the process ended after ${lines.length} lines`);
        return line;
      },
      async kill() {
        await end(child);
        await closed;
      },
    };
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}
