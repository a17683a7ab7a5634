import { KeyGuard } from "../poll/key-guard.ts";
import { Pacer } from "../poll/pacer.ts";
import { ProjectGate } from "../poll/project-gate.ts";
import type { Clock } from "../ports/clock.ts";
import type { Budget, Store } from "../ports/store.ts";
import type { Emit } from "../ports/telemetry.ts";

/**
 * Budgets and locks of credentials. They live as long as the process: a reload must neither refill a bucket nor
 * forget that a key was refused.
 */
export class Gates {
  readonly #store: Pick<Store, "kind" | "budget" | "notes">;
  readonly #clock: Clock;
  readonly #emit: Emit;
  readonly #pacers = new Map<string, Pacer>();
  /** By project, the one of the credentials that it has now. */
  readonly #guardOf = new Map<string, KeyGuard>();
  readonly #guards = new Map<string, { readonly guard: KeyGuard; readonly projects: Set<string> }>();

  constructor(store: Pick<Store, "kind" | "budget" | "notes">, clock: Clock, emit: Emit) {
    this.#store = store;
    this.#clock = clock;
    this.#emit = emit;
  }

  /** @param fingerprint of the credentials: projects with the same ones share a lock */
  gate(project: string, ratePerSecond: number, fingerprint: string): ProjectGate {
    const pacer = this.#pacer(project, ratePerSecond);
    const guard = this.#guard(project, fingerprint);
    this.#guardOf.set(project, guard);
    return new ProjectGate(project, pacer, guard, this.#clock, this.#emit);
  }

  /** Drops what no configured project uses any more. `used`: name and fingerprint of each. */
  retain(used: ReadonlyMap<string, string>): void {
    for (const pacers of [this.#pacers, this.#guardOf]) {
      for (const name of pacers.keys()) if (!used.has(name)) pacers.delete(name);
    }
    for (const [fingerprint, { projects }] of this.#guards) {
      for (const name of projects) if (used.get(name) !== fingerprint) projects.delete(name);
      if (projects.size === 0) this.#guards.delete(fingerprint);
    }
  }

  /** Learns what other replicas found out about the credentials. Rejects as the store does. */
  async refresh(): Promise<void> {
    for (const { guard } of this.#guards.values()) await guard.refresh();
  }

  #pacer(project: string, ratePerSecond: number): Pacer {
    const known = this.#pacers.get(project);
    if (known) {
      known.setRate(ratePerSecond);
      return known;
    }
    const pacer = new Pacer(project, ratePerSecond, this.#budget(project), this.#clock);
    this.#pacers.set(project, pacer);
    return pacer;
  }

  /**
   * Reads with each batch of tokens what other replicas found out about the credentials. As a token lapses after
   * `FRESH_MS`, no call starts later than that after a refusal anywhere. The one daemon on SQLite knows it all by itself.
   */
  #budget(project: string): Budget {
    const { kind, budget } = this.#store;
    const guardOf = this.#guardOf;
    if (kind === "sqlite") return budget;
    return {
      async take(...wanted) {
        const [taken] = await Promise.all([budget.take(...wanted), guardOf.get(project)?.refresh()]);
        return taken;
      },
    };
  }

  #guard(project: string, fingerprint: string): KeyGuard {
    const { guard, projects } = this.#guards.get(fingerprint) ?? this.#newGuard(fingerprint);
    if (projects.has(project)) return guard;
    projects.add(project);
    // What was told of its credentials was about others.
    if (guard.refusal) this.#emit({ kind: "credentials.refused", project, ...guard.refusal });
    else this.#emit({ kind: "credentials.untried", project });
    return guard;
  }

  #newGuard(fingerprint: string) {
    const projects = new Set<string>();
    const guard = new KeyGuard(fingerprint, this.#store.notes, this.#clock, (refusal) => {
      for (const project of projects) {
        if (refusal) this.#emit({ kind: "credentials.refused", project, ...refusal });
        else this.#emit({ kind: "credentials.accepted", project });
      }
    });
    const made = { guard, projects };
    this.#guards.set(fingerprint, made);
    return made;
  }
}
