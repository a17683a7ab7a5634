/** One Ctrl-C may come twice, from the terminal and from npm or our own launcher, which pass it on to their child. */
const SAME_MS = 100;

/** Aborted by the first SIGTERM or SIGINT. The second one does not wait for anything: the process ends with code 1. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  let first = 0;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (!stop.signal.aborted) {
        first = performance.now();
        stop.abort(new Error(`${signal} received`));
      } else if (performance.now() - first > SAME_MS) process.exit(1);
    });
  }
  return stop.signal;
}
