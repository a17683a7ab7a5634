import { program } from "./cli/program.ts";
import { stopSignal } from "./platform/signals.ts";

/** The shell around the program: arguments, environment, signals and the exit code, and nothing else. */
// Whoever reads our output may leave early, as `head` does: that is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
}

process.exitCode = await program(process.argv.slice(2), {
  env: process.env,
  out: (line) => void process.stdout.write(`${line}\n`),
  err: (line) => void process.stderr.write(`${line}\n`),
  width: process.stdout.isTTY ? process.stdout.columns : null,
  progress: process.stderr.isTTY ? (text) => void process.stderr.write(`\r\x1b[K${text}`) : null,
  signal: stopSignal(),
  onHangup: (listener) => void process.on("SIGHUP", listener),
});
