import type { WebhookConfig } from "../config/config.ts";
import { fingerprint } from "../config/fingerprint.ts";
import type { Clock } from "../ports/clock.ts";
import { readDocument } from "../ports/document.ts";
import type { SharedDocuments } from "../ports/store.ts";

/**
 * Whether a webhook is switched off because its receiver answered 410. Kept in the note `webhook/<name>`, so
 * that every replica and the next start know it, together with the fingerprint of the configuration that was
 * refused: under another configuration the note is void.
 */
export class DisableSwitch {
  readonly #notes: SharedDocuments;
  readonly #name: string;
  readonly #fingerprint: string;
  readonly #clock: Clock;
  #disabled = false;
  /** Disabled here, and not yet written. */
  #unsaved = false;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(notes: SharedDocuments, webhook: WebhookConfig, clock: Clock) {
    this.#notes = notes;
    this.#name = noteName(webhook.name);
    this.#fingerprint = fingerprint(webhook);
    this.#clock = clock;
  }

  get disabled(): boolean {
    return this.#disabled;
  }

  disable(): void {
    this.#disabled = true;
    this.#unsaved = true;
  }

  /** Reads or writes the note if the last look is older than `maxAge` milliseconds. Rejects as the store does. */
  async refresh(maxAge: number): Promise<void> {
    if (!this.#unsaved && this.#clock.monotonic() - this.#lookedAt < maxAge) return;
    const note = await readDocument(this.#notes, this.#name, parseFingerprint);
    const current = note?.value === this.#fingerprint;
    if (this.#unsaved) {
      const value = JSON.stringify({ disabled_at: this.#clock.now(), fingerprint: this.#fingerprint });
      // Somebody else wrote in between: the next look sees what.
      if (!current && !(await this.#notes.write(this.#name, value, note?.version ?? 0))) return;
      this.#unsaved = false;
    } else {
      if (note !== null && !current) await this.#notes.write(this.#name, null, note.version);
      // A 410 may have come in while the note was read.
      if (!this.#unsaved) this.#disabled = current;
    }
    this.#lookedAt = this.#clock.monotonic();
  }
}

/** Lifts a 410. False when the webhook is not disabled. */
export async function enableWebhook(notes: SharedDocuments, name: string): Promise<boolean> {
  for (;;) {
    const note = await notes.read(noteName(name));
    if (note === null) return false;
    if (await notes.write(noteName(name), null, note.version)) return true;
  }
}

const noteName = (webhook: string): string => `webhook/${webhook}`;

function parseFingerprint(value: string): string | null {
  try {
    const note: unknown = JSON.parse(value);
    if (typeof note !== "object" || note === null || !("fingerprint" in note)) return null;
    return typeof note.fingerprint === "string" ? note.fingerprint : null;
  } catch {
    return null;
  }
}
