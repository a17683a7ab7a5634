/** One Ctrl-C may come twice, from the terminal and from npm or our own launcher, which pass it on to their child. */
const SAME_MS = 100;

/** Aborted by the first SIGTERM or SIGINT. The second one does not wait for anything: the process ends with code 1. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  let interrupted = Number.NEGATIVE_INFINITY;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      const now = performance.now();
      const again = signal === "SIGINT" && now - interrupted < SAME_MS;
      if (signal === "SIGINT") interrupted = now;
      if (!stop.signal.aborted) stop.abort(new Error(`${signal} received`));
      else if (!again) process.exit(1);
    });
  }
  return stop.signal;
}
