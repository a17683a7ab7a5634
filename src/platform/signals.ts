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

/** What the process does on SIGHUP. */
export interface Hangups {
  /** Calls back on each SIGHUP, and at once where one came before. */
  readonly listen: (listener: () => void) => void;
  /** Lets SIGHUP end the process, as it ends other programs whose terminal closes; also one that came before. */
  readonly end: () => void;
}

/** Remembers a SIGHUP from now on, until it is known what it means: a signal without a handler ends the process. */
export function hangups(): Hangups {
  let remembered = false;
  let listener = (): void => {
    remembered = true;
  };
  const received = (): void => listener();
  process.on("SIGHUP", received);
  return {
    listen(given) {
      listener = given;
      if (remembered) given();
    },
    end() {
      // One that has arrived already reaches its handler before this.
      setImmediate(() => {
        process.off("SIGHUP", received);
        if (remembered) process.kill(process.pid, "SIGHUP");
      });
    },
  };
}
