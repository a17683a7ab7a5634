import type { Hangups } from "../platform/signals.ts";

/** What a command may see and touch of the process around it. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Writes a line. */
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
  /** Columns of the terminal that standard output is; null where it is a pipe or a file, which cuts nothing. */
  readonly width: number | null;
  /** Replaces the progress line on the standard error; empty takes it away. Null where that is no terminal. */
  readonly progress: ((text: string) => void) | null;
  /** Aborted by the first SIGTERM or SIGINT. */
  readonly signal: AbortSignal;
  /** What SIGHUP does: `run` reloads, every other command ends. */
  readonly hangup: Hangups;
}

/** 0 done, 1 failed while running, 2 usage or configuration wrong, 3 a failed or stuck task was found. */
export type ExitCode = 0 | 1 | 2 | 3;
