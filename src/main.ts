import { hangups, stopSignal } from "./platform/signals.ts";

/** The shell around the program: arguments, environment, signals and the exit code, and nothing else. */
const hangup = hangups();
const signal = stopSignal();
// Whoever reads our output may leave early, as `head` does: that is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
}

// Loading takes a third of a second, and a signal may come before it ends.
const { program } = await import("./cli/program.ts");
process.exitCode = await program(process.argv.slice(2), {
  env: process.env,
  out: (line) => void process.stdout.write(`${line}\n`),
  err: (line) => void process.stderr.write(`${line}\n`),
  width: process.stdout.isTTY ? process.stdout.columns : null,
  progress: process.stderr.isTTY ? (text) => void process.stderr.write(`\r\x1b[K${text}`) : null,
  signal,
  hangup,
});
