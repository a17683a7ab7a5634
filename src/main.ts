import { program } from "./cli/program.ts";

/** The shell around the program: arguments, environment, signals and the exit code, and nothing else. */
const stop = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    // The second one does not wait for anything.
    if (stop.signal.aborted) process.exit(1);
    stop.abort(new Error(`${signal} received`));
  });
}
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
  signal: stop.signal,
  onHangup: (listener) => void process.on("SIGHUP", listener),
});
