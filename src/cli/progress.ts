import type { Io } from "./io.ts";

/** With fewer, there is nothing to wait for. */
const MANY = 10;

export interface Progress {
  /** One more is done. */
  readonly done: () => void;
  readonly end: () => void;
}

/** A line that counts up on a terminal, while there are many. */
export function startProgress(io: Pick<Io, "progress">, total: number, what: string): Progress {
  const draw = total >= MANY ? io.progress : null;
  let count = 0;
  const show = () => draw?.(`${count} of ${total} ${what}`);
  show();
  return {
    done() {
      count += 1;
      show();
    },
    end: () => draw?.(""),
  };
}
