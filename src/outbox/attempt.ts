import type { Clock } from "../ports/clock.ts";
import type { Sender } from "./deliver.ts";
import type { Format, FormattedEvent } from "./format.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

export interface Attempt {
  readonly verdict: Verdict;
  readonly status: number | null;
  /** What came back, in a few words: "HTTP 503", or what broke. Safe to show. */
  readonly message: string;
  /** The beginning of the answer's body; what the receiver wrote, to be shown to the operator only. */
  readonly body: string;
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
  const began = clock.monotonic();
  const message = rendered(format, events, clock.now());
  if (message === null) {
    const verdict: Verdict = { kind: "refused", reason: "refused" };
    return { verdict, status: null, message: "the event cannot be rendered", body: "", seconds: 0 };
  }
  const answer = await sender.send(message, signal);
  const seconds = (clock.monotonic() - began) / 1000;
  if (answer.kind === "failed")
    return { verdict: verdictOf(answer), status: null, message: answer.message, body: "", seconds };
  const { status, body } = answer;
  const judgement = judged(format, status, body);
  if (judgement === null)
    return { verdict: verdictOf(answer), status, message: `HTTP ${status}`, body, seconds };
  const { verdict, detail } = judgement;
  return { verdict, status, message: `HTTP ${status}, ${detail}`, body, seconds };
}

function rendered(format: Format, events: readonly FormattedEvent[], now: number) {
  try {
    return format.render(events, now);
  } catch {
    return null;
  }
}

function judged(format: Format, status: number, body: string) {
  try {
    return format.judge?.(status, body) ?? null;
  } catch {
    return null;
  }
}
