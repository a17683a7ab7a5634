import type { EventData } from "../../src/core/event.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { Watchers } from "../support/watchers.ts";

export interface Letter {
  readonly id: string;
  /** Without the prefix `taskwatch.` */
  readonly type: string;
  readonly data: EventData;
}

/**
 * A webhook receiver for tests that move the clock by hours: it reads events and looks at no signature, whose time
 * a real receiver would refuse.
 */
export class Letters implements AsyncDisposable {
  /** Each id once: what is on its way when the clock moves on is late, and sent again. */
  readonly events: Letter[] = [];
  readonly #receiver: Receiver;
  readonly #watchers = new Watchers();

  private constructor(receiver: Receiver) {
    this.#receiver = receiver;
    receiver.otherwise(({ body }) => {
      const { id, type, data } = JSON.parse(body) as Letter;
      if (!this.events.some((known) => known.id === id)) {
        this.events.push({ id, type: type.replace(/^taskwatch\./, ""), data });
      }
      this.#watchers.changed();
      return 204;
    });
  }

  static async start(): Promise<Letters> {
    return new Letters(await startReceiver());
  }

  get url(): string {
    return this.#receiver.url;
  }

  ofTask(taskId: string): readonly Letter[] {
    return this.events.filter(({ data }) => data.task?.id === taskId);
  }

  ofType(...types: readonly string[]): readonly Letter[] {
    return this.events.filter(({ type }) => types.includes(type));
  }

  /** Resolves with the first event that fits, come already or later. */
  event(type: string, fits: (letter: Letter) => boolean = () => true): Promise<Letter> {
    return this.#watchers.until(
      () => this.events.find((letter) => letter.type === type && fits(letter)),
      () => this.events.map((letter) => `${letter.type} ${letter.data.task?.id ?? ""}`).join("\n"),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#receiver.close();
  }
}
