import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ReadFile } from "../../src/config/files.ts";
import { loadConfig } from "../../src/config/load.ts";
import { watchFiles } from "../../src/config/watcher.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { MINIMAL } from "./support.ts";

let directory: string;
let stop: AbortController;
let watching: Promise<void>;
let clock: ManualClock;
let files: readonly ReadFile[];
let reloads: number;

const reload = async () => {
  reloads++;
  ({ files } = await loadConfig({ path: join(directory, "taskwatch.yaml"), env: {} }));
};

/** A mounted ConfigMap: the file is a link into `..data`, which is a link to a directory with a date. */
function mount(version: string, text: string): void {
  mkdirSync(join(directory, version));
  writeFileSync(join(directory, version, "taskwatch.yaml"), text);
  symlinkSync(version, join(directory, "..data_tmp"));
  renameSync(join(directory, "..data_tmp"), join(directory, "..data"));
}

/** Lets the watcher look; resolves when it sleeps again, be it to settle or until the next look. */
async function look(): Promise<void> {
  await clock.untilSleeping(1000);
  await clock.advance(2000);
  await clock.untilSleeping();
}

/** A look that finds a change, and the ones after it until nothing moves. */
async function lookAndSettle(): Promise<void> {
  await look();
  while ((clock.nextWake ?? 2000) < 1000) {
    await clock.advance(300);
    await clock.untilSleeping();
  }
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "taskwatch-"));
  mount("..one", MINIMAL);
  symlinkSync("..data/taskwatch.yaml", join(directory, "taskwatch.yaml"));
  clock = new ManualClock();
  stop = new AbortController();
  await reload();
  reloads = 0;
  watching = watchFiles({ files: () => files, onChange: reload, clock, signal: stop.signal });
});

afterEach(async () => {
  stop.abort();
  await watching;
  rmSync(directory, { recursive: true });
});

describe("a reload is asked for", () => {
  it("once when a mounted ConfigMap swaps its symlink", async () => {
    await look();
    expect(reloads).toBe(0);
    mount("..two", `${MINIMAL}log: { level: debug }\n`);
    await lookAndSettle();
    expect(reloads).toBe(1);
    await lookAndSettle();
    expect(reloads).toBe(1);
  });

  it("when a file of a secret changes", async () => {
    writeFileSync(join(directory, "sk"), "one");
    mount("..two", MINIMAL.replace("secret_key: SK", `secret_key_file: ${join(directory, "sk")}`));
    await lookAndSettle();
    expect(reloads).toBe(1);
    writeFileSync(join(directory, "sk"), "two");
    await lookAndSettle();
    expect(reloads).toBe(2);
  });

  it("once for what does not load, and again when it is mended", async () => {
    mount("..two", "poll: ten\n");
    await lookAndSettle();
    await lookAndSettle();
    expect(reloads).toBe(1);
    mount("..three", MINIMAL);
    await lookAndSettle();
    expect(reloads).toBe(2);
  });

  it("only when the writing is over", async () => {
    mount("..two", "pro");
    await look();
    mount("..three", "projects:\n");
    await clock.advance(300);
    await clock.untilSleeping();
    expect(reloads).toBe(0);
    await clock.advance(300);
    await clock.untilSleeping(1000);
    expect(reloads).toBe(1);
  });

  it("not when a file was only touched, or is back as it was", async () => {
    utimesSync(join(directory, "..data", "taskwatch.yaml"), 1, 1);
    await lookAndSettle();
    mount("..two", "poll: ten\n");
    await look();
    mount("..three", MINIMAL);
    await clock.advance(300);
    await clock.untilSleeping();
    await clock.advance(300);
    await clock.untilSleeping(1000);
    expect(reloads).toBe(0);
  });
});
