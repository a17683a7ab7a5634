import type { WebhookConfig } from "../../../src/config/config.ts";
import { type Attempt, attempt } from "../../../src/outbox/attempt.ts";
import { createSender } from "../../../src/outbox/deliver.ts";
import { webhookDispatcher } from "../../../src/outbox/dispatcher.ts";
import type { FormattedEvent } from "../../../src/outbox/format.ts";
import { formatOf } from "../../../src/outbox/formats/index.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { type Received, type Receiver, type Reply, startReceiver } from "../../support/receiver.ts";
import { webhookConfig } from "../harness.ts";
import { NOW } from "./samples.ts";

/** One real receiver, and messages of one format sent to it as the worker sends them. */
export class Exchange implements AsyncDisposable {
  readonly receiver: Receiver;
  readonly #settings: Partial<WebhookConfig>;

  private constructor(receiver: Receiver, settings: Partial<WebhookConfig>) {
    this.receiver = receiver;
    this.#settings = settings;
  }

  static async open(settings: Partial<WebhookConfig>): Promise<Exchange> {
    return new Exchange(await startReceiver(), settings);
  }

  get webhook(): WebhookConfig {
    return webhookConfig(this.receiver.url, this.#settings);
  }

  /** What arrived, and how the answer was taken. */
  async send(
    events: readonly FormattedEvent[],
    reply: Reply = 200,
  ): Promise<{ request: Received; attempt: Attempt }> {
    const { webhook } = this;
    const clock = new ManualClock(NOW);
    const sender = createSender(webhook, webhookDispatcher(webhook), clock, "1.2.3");
    this.receiver.script(reply);
    try {
      const result = await attempt(formatOf(webhook), sender, events, clock, new AbortController().signal);
      const request = this.receiver.requests.at(-1);
      if (request === undefined) throw new Error(`nothing was sent: ${result.message}`);
      return { request, attempt: result };
    } finally {
      await sender.close();
    }
  }

  /** How an answer is taken: the verdict in one line. */
  async answered(events: readonly FormattedEvent[], reply: Reply): Promise<string> {
    const { verdict, message } = (await this.send(events, reply)).attempt;
    if (verdict.kind !== "retry") return `${verdict.kind} (${message})`;
    const wait = verdict.retryAfter === null ? "" : `, not before ${verdict.retryAfter / 1000} s`;
    return `retry: ${verdict.reason}, for ${verdict.group}${wait} (${message})`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.receiver.close();
  }
}
