import type { Clock } from "../ports/clock.ts";
import { type AttemptResult, classifyAnswer } from "./attempt-result.ts";
import type { Sender } from "./deliver.ts";
import type { Format, FormattedEvent, Message } from "./format.ts";

export interface Attempt {
  readonly verdict: AttemptResult;
  readonly status: number | null;
  /** What came back, in a few words: "HTTP 503", or what broke. Safe to show. */
  readonly message: string;
  /** The beginning of the answer's body; what the receiver wrote, to be shown to the operator only. */
  readonly body: string;
  /** What the receiver's clock shows, epoch milliseconds; null where it does not say. */
  readonly date: number | null;
  readonly seconds: number;
}

/** Renders, sends and judges. Rejects only with the signal's reason. */
export async function attempt(
  format: Format,
  sender: Sender,
  events: readonly FormattedEvent[],
  clock: Clock,
  signal: AbortSignal,
): Promise<Attempt> {
  const message = rendered(format, events, clock.now());
  if (message !== null) return exchange(sender, message, clock, signal, format.judge);
  const verdict: AttemptResult = { kind: "refused", reason: "refused" };
  return { verdict, status: null, message: "the event cannot be rendered", body: "", date: null, seconds: 0 };
}

/** Sends and judges. Rejects only with the signal's reason. */
export async function exchange(
  sender: Sender,
  message: Message,
  clock: Clock,
  signal: AbortSignal,
  judge?: Format["judge"],
): Promise<Attempt> {
  const began = clock.monotonic();
  const answer = await sender.send(message, signal);
  const seconds = (clock.monotonic() - began) / 1000;
  if (answer.kind === "failed") {
    const { message } = answer;
    return { verdict: classifyAnswer(answer), status: null, message, body: "", date: null, seconds };
  }
  const { status, body, date } = answer;
  const judgement = judged(judge, status, body);
  if (judgement === null)
    return { verdict: classifyAnswer(answer), status, message: `HTTP ${status}`, body, date, seconds };
  const { verdict, detail } = judgement;
  return { verdict, status, message: `HTTP ${status}, ${detail}`, body, date, seconds };
}

function rendered(format: Format, events: readonly FormattedEvent[], now: number) {
  try {
    return format.render(events, now);
  } catch {
    return null;
  }
}

function judged(judge: Format["judge"], status: number, body: string) {
  try {
    return judge?.(status, body) ?? null;
  } catch {
    return null;
  }
}
