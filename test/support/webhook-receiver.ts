import { Webhook } from "standardwebhooks";
import type { EventData } from "../../src/core/event.ts";
import { schemaProblem } from "./event-schema.ts";
import { type Received, type Receiver, type Reply, startReceiver } from "./receiver.ts";
import { Watchers } from "./watchers.ts";

/** A webhook request whose signature is good. */
export interface Letter {
  readonly id: string;
  /** Without the prefix `taskwatch.` */
  readonly type: string;
  readonly subject: string | null;
  readonly time: string;
  readonly data: EventData;
  readonly body: string;
  /** What was answered; null for an answer that was never given. */
  readonly answered: number | null;
}

export type Answer = (letter: Omit<Letter, "answered">) => Reply;

export const INBOX_SECRET = `whsec_${Buffer.from("the secret of the inbox in tests").toString("base64")}`;

/** A webhook receiver that checks every signature, and every event against its schema, and keeps the events. */
export class Inbox implements AsyncDisposable {
  readonly letters: Letter[] = [];
  readonly #receiver: Receiver;
  readonly #watchers = new Watchers();
  /** What each request is answered. */
  answer: Answer = () => 204;
  /** Problems of requests that were not what they should be. */
  readonly bad: unknown[] = [];

  private constructor(receiver: Receiver) {
    this.#receiver = receiver;
    receiver.otherwise((request) => {
      try {
        const letter = read(request);
        const reply = this.answer(letter);
        this.letters.push({ ...letter, answered: statusOf(reply) });
        this.#watchers.changed();
        return reply;
      } catch (error) {
        this.bad.push(error);
        return 400;
      }
    });
  }

  static async start(options: { readonly port?: number } = {}): Promise<Inbox> {
    return new Inbox(await startReceiver(options));
  }

  get url(): string {
    return this.#receiver.url;
  }

  get port(): number {
    return this.#receiver.port;
  }

  get mostOpen(): number {
    return this.#receiver.mostOpen;
  }

  /** What was answered with 2xx, each id once, in the order of its first time. */
  get events(): readonly Letter[] {
    const seen = new Map<string, Letter>();
    for (const letter of this.letters) {
      if (letter.answered !== null && letter.answered < 300 && !seen.has(letter.id))
        seen.set(letter.id, letter);
    }
    return [...seen.values()];
  }

  ofTask(taskId: string): readonly Letter[] {
    return this.events.filter((letter) => letter.data.task?.id === taskId);
  }

  ofType(...types: readonly string[]): readonly Letter[] {
    return this.events.filter((letter) => types.includes(letter.type));
  }

  /** Resolves when it holds; looked at after each letter. */
  async until(holds: () => boolean): Promise<void> {
    await this.#watchers.until(
      () => holds() || undefined,
      () => this.#summary(),
    );
  }

  /** Resolves with the first delivered event that fits, now or later. */
  event(type: string, fits: (letter: Letter) => boolean = () => true): Promise<Letter> {
    return this.#watchers.until(
      () => this.events.find((letter) => letter.type === type && fits(letter)),
      () => `no ${type} in ${this.#summary()}`,
    );
  }

  #summary(): string {
    const last = this.letters.slice(-40);
    const lines = last.map(({ type, data, answered }) =>
      [type, data.instance?.name, data.task?.name, data.task?.id, data.cause, answered]
        .filter(Boolean)
        .join(" "),
    );
    return `${this.letters.length} letters, the last of them:\n${lines.join("\n")}`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#receiver.close();
  }
}

const WEBHOOK = new Webhook(INBOX_SECRET);

/** Throws unless the request is a CloudEvent as its schema has it, signed; the time of the signature is the daemon's, which a test may have moved. */
function read({ headers, body }: Received): Omit<Letter, "answered"> {
  const event = JSON.parse(body) as Record<string, string> & { data: EventData };
  const problem = schemaProblem(event);
  if (problem !== null) throw new Error(problem);
  const { id, type, subject, time, data } = event;
  const at = Number(headers["webhook-timestamp"]) * 1_000;
  const signatures = String(headers["webhook-signature"]).split(" ");
  if (!id || !type || !time || headers["webhook-id"] !== id)
    throw new Error("webhook-id is not the event's id");
  if (!signatures.includes(WEBHOOK.sign(id, new Date(at), body)))
    throw new Error(`the signature of ${id} is wrong`);
  return { id, type: type.replace(/^taskwatch\./, ""), subject: subject ?? null, time, data, body };
}

function statusOf(reply: Reply): number | null {
  if (typeof reply === "number") return reply;
  return typeof reply === "object" && "status" in reply ? reply.status : null;
}
