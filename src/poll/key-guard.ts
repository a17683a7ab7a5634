import type { CloudAnswer } from "../core/cause.ts";
import { CloudError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import { readDocument } from "../ports/document.ts";
import type { SharedDocuments } from "../ports/store.ts";
import { untilAborted } from "../util/until-aborted.ts";

/** The cloud locks a key for five minutes after more than five failures in a row: one try in that time is safe. */
export const RETRY_REFUSED_MS = 5 * 60_000;
/** A trial call whose replica died is taken over after so long. */
const TRIAL_MS = 60_000;
const ASK_AGAIN_MS = 250;

interface KeyNote {
  readonly state: "accepted" | "trying" | "refused";
  /** Wall clock, epoch milliseconds: it must hold through restarts. */
  readonly at: number;
  readonly cause: RefusalCause;
  /** Of a refusal: the answer that it came with. */
  readonly answer: CloudAnswer | null;
}

export type RefusalCause = "credentials_rejected" | "clock_skew";

/**
 * What an answer said of the credentials. Anything but a refusal that came from behind the gateway accepts them;
 * `renewed`: there is a token that the next call tries.
 */
export type KeyVerdict = "accepted" | "renewed" | "unclear" | RefusalCause;

export interface Refusal {
  readonly error: CloudError;
  /** When one call tries again, epoch milliseconds. */
  readonly retryAt: number;
}

/** @param answer the cloud's, where it refused */
type Report = (verdict: KeyVerdict, answer?: CloudAnswer | null) => void;

/**
 * The lock of one set of credentials, shared through the store by every project and replica that uses it. Until the
 * credentials were accepted once, calls go one at a time; after a refusal none starts for five minutes, and then
 * one alone tries again. The name is a fingerprint of the credentials, so changed ones start afresh.
 */
export class KeyGuard {
  readonly fingerprint: string;
  /**
   * What `enter` resolves with once the credentials were accepted, for callers that need not wait then. When another
   * call was refused meanwhile, that this one was let in is of the time before.
   */
  readonly reporter: Report = (verdict, answer = null) =>
    void (refuses(verdict) && this.#settle(verdict, answer));
  readonly #notes: SharedDocuments;
  readonly #clock: Clock;
  readonly #onChange: (refusal: Refusal | null) => void;
  #known: KeyNote | null = null;
  /** A verdict that is not in the store yet, or could not be written. */
  #untold: KeyNote | null = null;
  #trial: Promise<void> = Promise.resolve();
  /** The last trial of this process. */
  #claim: KeyNote | null = null;
  /** The trial got a token, and the call that it is for is still to come. */
  #renewed = false;

  constructor(
    fingerprint: string,
    notes: SharedDocuments,
    clock: Clock,
    onChange: (refusal: Refusal | null) => void,
  ) {
    this.fingerprint = fingerprint;
    this.#notes = notes;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** False from a refusal until the credentials are accepted again. */
  get valid(): boolean {
    return this.#known?.state !== "refused";
  }

  /** What is known while they are not valid. */
  get refusal(): Refusal | null {
    if (this.#known?.state !== "refused") return null;
    const error = refusalError(this.#known, "the cloud refused the credentials");
    return { error, retryAt: this.#known.at + RETRY_REFUSED_MS };
  }

  get accepted(): boolean {
    return this.#known?.state === "accepted";
  }

  /** May a call start, or at least try? False while a refusal is younger than five minutes. */
  get open(): boolean {
    return this.#known?.state !== "refused" || !this.#recent(this.#known, RETRY_REFUSED_MS);
  }

  /** Reads what other replicas and earlier runs found out. */
  async refresh(): Promise<void> {
    const note = await this.#read();
    this.#learn(this.#newer(note?.value ?? null));
  }

  /**
   * Resolves when a call may start; the caller reports what it said of the credentials, exactly once.
   * Rejects with a `CloudError` while no call may be made.
   */
  async enter(signal: AbortSignal): Promise<Report> {
    const report = this.reporter;
    if (this.accepted) return report;
    // One at a time in this process; the note sees to it among replicas.
    const before = this.#trial;
    const { promise, resolve: end } = Promise.withResolvers<void>();
    this.#trial = before.then(() => promise);
    try {
      await untilAborted(before, signal);
      const granted = await this.#claimTrial(signal);
      if (granted === "accepted") {
        end();
        return report;
      }
      return (verdict, answer = null) => void this.#settle(verdict, answer).finally(end);
    } catch (error) {
      end();
      throw error;
    }
  }

  async #claimTrial(signal: AbortSignal): Promise<"accepted" | "trial"> {
    for (;;) {
      signal.throwIfAborted();
      const stored = await this.#read();
      const note = this.#newer(stored?.value ?? null);
      this.#learn(note);
      if (note?.state === "accepted") return "accepted";
      if (this.#renewed) {
        this.#renewed = false;
        return "trial";
      }
      if (note?.state === "refused" && this.#recent(note, RETRY_REFUSED_MS)) throw stopped(note);
      if (note?.state === "trying" && this.#recent(note, TRIAL_MS)) {
        await this.#clock.sleep(ASK_AGAIN_MS, signal);
        continue;
      }
      const claim = note?.state === "refused" ? { ...note, at: this.#clock.now() } : this.#note("trying");
      const text = JSON.stringify(claim);
      if (!(await this.#notes.write(this.#name, text, stored?.version ?? 0))) continue;
      // Who asked is gone, its shard handed over perhaps: the trial is the next one's.
      if (signal.aborted) await this.#unclaim(text, stored?.text ?? null);
      signal.throwIfAborted();
      this.#claim = claim;
      this.#learn(claim);
      return "trial";
    }
  }

  async #unclaim(claim: string, before: string | null): Promise<void> {
    const stored = await this.#notes.read(this.#name);
    if (stored?.value === claim) await this.#notes.write(this.#name, before, stored.version);
  }

  /** Never rejects: the caller has its answer from the cloud and nothing more to do here. */
  async #settle(verdict: KeyVerdict, answer: CloudAnswer | null): Promise<void> {
    if (verdict === "accepted" && this.#known?.state === "accepted") return;
    const unsaid = verdict === "unclear" || verdict === "renewed";
    this.#renewed = verdict === "renewed" && this.#known?.state === "refused";
    // An answer that does not say it gives a first trial back; after a refusal the next one waits all the same.
    if (unsaid && this.#known?.state !== "trying") return;
    const note = unsaid ? null : this.#note(verdict, answer);
    this.#untold = note;
    this.#learn(note);
    try {
      for (let written = false; !written; ) {
        const stored = await this.#read();
        const other = stored?.value ?? null;
        if (!refuses(verdict) && other?.state === "refused" && other.at !== this.#claim?.at) {
          // Another replica was refused meanwhile: that this trial went well is of the time before.
          this.#untold = null;
          this.#learn(other);
          return;
        }
        written = await this.#notes.write(this.#name, note && JSON.stringify(note), stored?.version ?? 0);
      }
      if (this.#untold === note) this.#untold = null;
    } catch {
      // Without the store this process still knows; the others learn by their own single trial.
    }
  }

  /** What the store says, unless it does not know yet what was found out here. */
  #newer(stored: KeyNote | null): KeyNote | null {
    const untold = this.#untold;
    if (untold === null || !this.#recent(untold, RETRY_REFUSED_MS)) return stored;
    return stored === null || stored.at <= untold.at ? untold : stored;
  }

  #learn(note: KeyNote | null): void {
    const wasValid = this.valid;
    this.#known = note;
    if (this.valid !== wasValid) this.#onChange(this.refusal);
  }

  #note(verdict: "accepted" | "trying" | RefusalCause, answer: CloudAnswer | null = null): KeyNote {
    const at = this.#clock.now();
    if (verdict === "accepted" || verdict === "trying")
      return { state: verdict, at, cause: "credentials_rejected", answer: null };
    return { state: "refused", at, cause: verdict, answer };
  }

  /** A time in the future is a clock that was set back: it must not lock for hours. */
  #recent(note: KeyNote, ms: number): boolean {
    const age = this.#clock.now() - note.at;
    return age < ms && age > -ms;
  }

  #read() {
    return readDocument(this.#notes, this.#name, parse);
  }

  get #name(): string {
    return `credentials/${this.fingerprint}`;
  }
}

const refuses = (verdict: KeyVerdict): verdict is RefusalCause =>
  verdict === "credentials_rejected" || verdict === "clock_skew";

const refusalError = ({ cause, answer }: KeyNote, message: string): CloudError =>
  new CloudError(cause, message, { code: answer?.errorCode ?? null, requestId: answer?.requestId ?? null });

const stopped = (note: KeyNote): CloudError =>
  refusalError(note, "no call was made: the cloud refused these credentials less than five minutes ago");

/** Null for anything that is not such a note: then the credentials are unknown. */
function parse(text: string): KeyNote | null {
  try {
    const { state, at, cause, answer } = JSON.parse(text) as Partial<KeyNote>;
    if (typeof at !== "number" || !Number.isFinite(at)) return null;
    if (state !== "accepted" && state !== "trying" && state !== "refused") return null;
    return {
      state,
      at,
      cause: cause === "clock_skew" ? cause : "credentials_rejected",
      answer: answer
        ? { errorCode: textOrNull(answer.errorCode), requestId: textOrNull(answer.requestId) }
        : null,
    };
  } catch {
    return null;
  }
}

const textOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null);
