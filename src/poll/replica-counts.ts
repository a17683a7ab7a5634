import { CAUSES, type Cause } from "../core/cause.ts";
import type { ProjectCounts } from "../core/health.ts";
import { readDocument } from "../ports/document.ts";
import type { SharedDocuments } from "../ports/store.ts";

export interface ReplicaCountsOptions {
  readonly notes: SharedDocuments;
  /** This replica, and all that are alive. */
  readonly member: string;
  readonly members: () => readonly string[];
}

/** What one replica tells the others about a project. */
export interface SharedCounts extends ProjectCounts {
  /** By the project's own record, which only the owner of its shard knows. */
  readonly unreachable: boolean;
}

/**
 * How the instances of a project fare at the other replicas: one note per project, in which each replica keeps its own
 * counts as long as something fails somewhere. So a project is judged by all of its instances, and those that fail
 * know on every replica whether it is the project that fails.
 */
export class ReplicaCounts {
  readonly #options: ReplicaCountsOptions;
  readonly #others = new Map<string, readonly SharedCounts[]>();

  constructor(options: ReplicaCountsOptions) {
    this.#options = options;
  }

  /** As of the last exchange. */
  others(projectId: string): readonly SharedCounts[] {
    return this.#others.get(projectId) ?? [];
  }

  /** Now and then: tells ours where it matters, and hears theirs. Rejects as the store does. */
  async exchange(projectId: string, ours: SharedCounts): Promise<void> {
    const { notes, member, members } = this.#options;
    const live = members().filter((each) => each !== member);
    if (live.length === 0) {
      this.#others.delete(projectId);
      return;
    }
    const name = `reach/${projectId}`;
    for (;;) {
      const stored = await readDocument(notes, name, parse);
      const all = new Map((stored?.value ?? []).filter(([each]) => live.includes(each)));
      const others = [...all.values()];
      this.#others.set(projectId, others);
      const matters =
        ours.unreachable || ours.failing.size > 0 || others.some(({ unreachable }) => unreachable);
      if (matters) all.set(member, ours);
      const value = all.size === 0 ? null : format(all);
      if (value === (stored?.text ?? null)) return;
      if (await notes.write(name, value, stored?.version ?? 0)) return;
    }
  }
}

/** The same text for the same counts, whoever writes it: what did not change is not written. */
function format(all: ReadonlyMap<string, SharedCounts>): string {
  const entries = [...all].sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(
    Object.fromEntries(
      entries.map(([member, { answering, failing, down, unreachable }]) => [
        member,
        { answering, failing: plain(failing), down: plain(down), unreachable },
      ]),
    ),
  );
}

const plain = (counts: ReadonlyMap<Cause, number>): Readonly<Record<string, number>> =>
  Object.fromEntries(
    CAUSES.flatMap((cause) => {
      const count = counts.get(cause) ?? 0;
      return count > 0 ? [[cause, count]] : [];
    }),
  );

/** Leaves out what is no tally. Null for what is not such a note. */
function parse(text: string): [string, SharedCounts][] | null {
  try {
    const all = JSON.parse(text) as Readonly<Record<string, Readonly<Record<string, unknown>> | null>>;
    return Object.entries(all).flatMap(([member, entry]): [string, SharedCounts][] => {
      const { answering, failing, down, unreachable } = entry ?? {};
      if (typeof answering !== "number") return [];
      const tally = {
        answering,
        failing: counts(failing),
        down: counts(down),
        unreachable: unreachable === true,
      };
      return [[member, tally]];
    });
  } catch {
    return null;
  }
}

function counts(value: unknown): ReadonlyMap<Cause, number> {
  const by = (value ?? {}) as Readonly<Partial<Record<Cause, unknown>>>;
  return new Map(
    CAUSES.flatMap((cause): [Cause, number][] => {
      const count = by[cause];
      return typeof count === "number" && count > 0 ? [[cause, count]] : [];
    }),
  );
}
