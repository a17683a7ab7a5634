import type { Config } from "../config/config.ts";
import { fingerprint } from "../config/fingerprint.ts";
import type { Emit } from "../ports/telemetry.ts";
import type { CommonRules } from "./rules.ts";

interface Watched {
  /** As the configuration names it. */
  readonly name: string;
  readonly end: (now: number) => number | null;
}

/** Says once when a maintenance window opens, and once when it closes. */
export class MaintenanceWatch {
  readonly #emit: Emit;
  /** By what the window is, so that a reload that moves it within the list says nothing. */
  #windows: ReadonlyMap<string, Watched> = new Map();
  readonly #open = new Map<string, Watched>();

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  /** Windows that are gone, or that are others now, close with the next look. */
  apply({ maintenance }: Pick<Config, "maintenance">, common: Pick<CommonRules, "maintenance">): void {
    this.#windows = new Map(
      common.maintenance.map(({ end }, index) => [
        fingerprint(maintenance[index]),
        { name: `maintenance[${index}]`, end },
      ]),
    );
  }

  /** Once a second. */
  look(now: number): void {
    for (const [key, window] of this.#windows) {
      const until = window.end(now);
      if (until === null || this.#open.has(key)) continue;
      this.#open.set(key, window);
      this.#emit({ kind: "maintenance.opened", window: window.name, until });
    }
    for (const [key, { name }] of this.#open) {
      const known = this.#windows.get(key);
      if (known && known.end(now) !== null) continue;
      this.#open.delete(key);
      this.#emit({ kind: "maintenance.closed", window: known?.name ?? name });
    }
  }
}
