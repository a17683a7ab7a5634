/** What a command may see and touch of the process around it. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Writes a line. */
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
  /** Is standard error a terminal? Then a progress line may be drawn. */
  readonly isTerminal: boolean;
  /** Aborted by the first SIGTERM or SIGINT. */
  readonly signal: AbortSignal;
  /** Calls back on each SIGHUP. */
  readonly onHangup: (listener: () => void) => void;
}

/** 0 done, 1 failed while running, 2 usage or configuration wrong, 3 a failed or stuck task was found. */
export type ExitCode = 0 | 1 | 2 | 3;
