import { Command, CommanderError } from "commander";
import { StoreError, UsageError } from "../errors.ts";
import { runSimulator } from "../simulator/command.ts";
import { VERSION } from "../version.ts";
import type { ExitCode, Io } from "./io.ts";
import { run } from "./run.ts";

/** Reads the arguments and does what they say. Never rejects: errors become a few plain lines and an exit code. */
export async function program(args: readonly string[], io: Io): Promise<ExitCode> {
  let code: ExitCode = 0;
  const cli = new Command("dms-taskwatch")
    .description(
      "Watches the background tasks of managed message-queue instances and tells people when one fails or hangs.",
    )
    .version(VERSION)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out(text.trimEnd()),
      writeErr: (text) => io.err(text.trimEnd()),
    });
  const command = (name: string, description: string) =>
    cli
      .command(name, { isDefault: name === "run" })
      .description(description)
      .option("--config <file>", "configuration file");
  command("run", "the daemon (the default)").action(async (options) => {
    code = await run(options, io);
  });
  cli
    .command("simulate")
    .description("a stand-in for the cloud's API")
    .option("--listen <address>", "host:port", "127.0.0.1:10465")
    .action(async (options) => {
      await runSimulator(options, { stdout: io.out, signal: io.signal });
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
  if (error instanceof UsageError) {
    io.err(error.message);
    return 2;
  }
  if (error instanceof StoreError) {
    io.err(error.message);
    return error.code === "locked" || error.code === "newer" || error.code === "mismatch" ? 2 : 1;
  }
  io.err(error instanceof Error ? error.message : String(error));
  return 1;
}
