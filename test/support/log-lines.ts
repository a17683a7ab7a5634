import { Watchers } from "./watchers.ts";

/** One line of the program's log. */
export interface LogLine {
  readonly level: string;
  readonly component?: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** Collects what a program writes, and lets a test wait for a line of its log. A destination for pino, too. */
export class LogLines {
  readonly lines: LogLine[] = [];
  /** Everything as it was written. */
  text = "";
  #rest = "";
  readonly #watchers = new Watchers();

  write(chunk: string | Buffer): void {
    const text = String(chunk);
    this.text += text;
    const parts = (this.#rest + text).split("\n");
    this.#rest = parts.pop() ?? "";
    for (const part of parts) {
      if (!part.startsWith("{")) continue;
      this.lines.push(JSON.parse(part) as LogLine);
    }
    this.#watchers.changed();
  }

  /** Lines with this message. */
  of(msg: string): LogLine[] {
    return this.lines.filter((line) => line.msg === msg);
  }

  /** The first line from number `from` on for which it holds, now or later. */
  until(holds: ((line: LogLine) => boolean) | string, from = 0): Promise<LogLine> {
    const fits = typeof holds === "string" ? (line: LogLine) => line.msg === holds : holds;
    let looked = from;
    return this.#watchers.until(
      () => {
        for (; looked < this.lines.length; looked++) {
          const line = this.lines[looked];
          if (line && fits(line)) return line;
        }
        return undefined;
      },
      () => this.text.slice(-4_000),
    );
  }
}
