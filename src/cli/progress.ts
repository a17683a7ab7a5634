import { plural } from "../views/text.ts";
import type { Io } from "./io.ts";

export interface Progress {
  /** One more is done. */
  readonly done: () => void;
  /** So many more tasks were read: a long range of one instance shows that it goes on. */
  readonly read: (tasks: number) => void;
  readonly end: () => void;
}

/** A line that counts up on a terminal, and is gone at the end. */
export function startProgress({ progress }: Pick<Io, "progress">, total: number, what: string): Progress {
  let count = 0;
  let tasks = 0;
  const show = () => {
    const seen = tasks > 0 ? `, ${plural(tasks, "task")} read` : "";
    progress?.(`${count} of ${total} ${what}${seen}`);
  };
  show();
  return {
    done() {
      count += 1;
      show();
    },
    read(more) {
      tasks += more;
      show();
    },
    end: () => progress?.(""),
  };
}
