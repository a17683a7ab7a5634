import { get, type IncomingMessage } from "node:http";
import { Watchers } from "./watchers.ts";

export interface StreamEvent {
  /** `Last-Event-ID` to go on after it. */
  readonly id: string;
  // biome-ignore lint/suspicious/noExplicitAny: what an event is, is said by the documentation
  readonly data: any;
}

/** Reads server-sent events as a browser does. */
export class EventSource implements AsyncDisposable {
  readonly events: StreamEvent[] = [];
  readonly comments: string[] = [];
  readonly response: IncomingMessage;
  readonly #watchers = new Watchers();
  #rest = "";
  ended = false;

  private constructor(response: IncomingMessage) {
    this.response = response;
    response.setEncoding("utf8");
    response.on("data", (text: string) => this.#take(text));
    const end = () => {
      this.ended = true;
      this.#watchers.changed();
    };
    response.on("close", end);
    response.on("error", end);
  }

  static open(url: string, headers: Readonly<Record<string, string>> = {}): Promise<EventSource> {
    return new Promise((resolve, reject) => {
      const request = get(url, { headers, agent: false }, (response) => {
        if (response.statusCode === 200) resolve(new EventSource(response));
        else reject(new Error(`the stream answered ${response.statusCode}`));
      });
      request.on("error", reject);
    });
  }

  /** Resolves when it holds; looked at after each part that comes. */
  async until(holds: () => boolean): Promise<void> {
    await this.#watchers.until(
      () => holds() || undefined,
      () => `${this.events.length} events: ${JSON.stringify(this.events.slice(-5))}`,
    );
  }

  #take(text: string): void {
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const fields = new Map(block.split("\n").map((line) => line.split(/:(.*)/s, 2) as [string, string]));
      const data = fields.get("data");
      if (data !== undefined)
        this.events.push({ id: fields.get("id")?.trim() ?? "", data: JSON.parse(data) });
      const comment = fields.get("");
      if (comment !== undefined) this.comments.push(comment.trim());
    }
    this.#watchers.changed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.response.destroy();
  }
}
