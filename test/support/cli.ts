import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { program } from "../../src/cli/program.ts";

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));

/** What the package calls. */
export const BIN = path("bin/dms-taskwatch.js");
/** It prefers what was built, and a build of earlier sources must not be what is tested. */
export const PROGRAM = existsSync(path("dist/main.js")) ? path("src/main.ts") : BIN;

/** Only this of the test's own environment reaches the program. */
export const programEnv = (
  env: Readonly<Record<string, string>> = {},
): Record<string, string | undefined> => ({
  PATH: process.env.PATH,
  HOME: "/nonexistent",
  ...env,
});

/** Runs the program to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: programEnv(options.env),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close") as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}

/** The same within the test's process, which takes a tenth of the time: for what many runs are needed for. */
export async function runInProcess(...args: readonly string[]): Promise<CliResult> {
  return runOnTerminal(args, null);
}

/** In the test's process, and what it shows as it goes on is given to `progress`, as on a terminal. */
export async function runOnTerminal(
  args: readonly string[],
  progress: ((line: string) => void) | null,
): Promise<CliResult> {
  let stdout = "";
  let stderr = "";
  const code = await program(args, {
    env: {},
    out: (line) => {
      stdout += `${line}\n`;
    },
    err: (line) => {
      stderr += `${line}\n`;
    },
    width: null,
    progress,
    signal: new AbortController().signal,
    hangup: { listen: () => {}, end: () => {} },
  });
  return { code, stdout, stderr };
}

/** The cells of a table as it was printed, titles first; columns are at least two spaces apart. */
export const cellsOf = (stdout: string): readonly (readonly string[])[] =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.trim().split(/ {2,}/));
