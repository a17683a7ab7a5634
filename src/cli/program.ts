import { CommanderError } from "commander";
import { StoreError, UsageError } from "../errors.ts";
import { printableLines } from "../views/printable.ts";
import { commandLine } from "./commands.ts";
import type { ExitCode, Io } from "./io.ts";

/** Reads the arguments and does what they say. Never rejects: errors become a few plain lines and an exit code. */
export async function program(args: readonly string[], given: Io): Promise<ExitCode> {
  const io: Io = {
    ...given,
    out: (line) => given.out(printableLines(line)),
    err: (line) => given.err(printableLines(line)),
  };
  let code: ExitCode = 0;
  const cli = commandLine(io, (exitCode) => {
    code = exitCode;
  });
  try {
    await cli.parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    return failed(error, io);
  }
}

function failed(error: unknown, io: Io): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  io.err(error instanceof Error ? error.message : String(error));
  if (error instanceof UsageError) return 2;
  const isUsage = error instanceof StoreError && ["locked", "newer", "mismatch"].includes(error.code);
  return isUsage ? 2 : 1;
}
