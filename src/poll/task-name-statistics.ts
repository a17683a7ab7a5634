import type { Knowledge } from "../core/decision.ts";
import { knowledgeOf } from "../core/names.ts";
import type { LearnRules } from "../core/rules.ts";
import type { NameKnowledge } from "../core/state.ts";
import type { Shard } from "./shard.ts";

/** Knowledge, and what it was made of. */
interface Kept {
  readonly shards: readonly { readonly shard: Shard; readonly version: number }[];
  readonly othersVersion: number;
  readonly knowledge: Knowledge;
}

/** What a shard knows of a name, as it was read from the store. */
export type ShardNameKnowledge = NameKnowledge & { readonly shard: number };

/** What is known of task names over all shards: ours from memory, the others' as they were read last. */
export class TaskNameStatistics {
  readonly #owned: () => Iterable<Shard>;
  /** Rules are shared by the instances that do not override them, so this holds few. */
  readonly #kept = new WeakMap<LearnRules, Map<string, Kept>>();
  #others: readonly ShardNameKnowledge[] = [];
  #othersVersion = 0;

  constructor(owned: () => Iterable<Shard>) {
    this.#owned = owned;
  }

  /** Entries of all shards; those of ours are passed over, now or when they become ours. */
  setOthers(entries: readonly ShardNameKnowledge[]): void {
    if (entries.length === 0 && this.#others.length === 0) return;
    this.#others = entries;
    this.#othersVersion += 1;
  }

  of(projectId: string, learn: LearnRules): Knowledge {
    const byProject = this.#kept.get(learn) ?? new Map<string, Kept>();
    this.#kept.set(learn, byProject);
    const kept = byProject.get(projectId);
    if (kept && this.#isPresent(kept)) return kept.knowledge;
    const knowledge = knowledgeOf(this.entries(projectId), projectId, learn);
    const shards = [...this.#owned()].map((shard) => ({ shard, version: shard.namesVersion }));
    byProject.set(projectId, { shards, othersVersion: this.#othersVersion, knowledge });
    return knowledge;
  }

  /** Asked at every poll, so it makes nothing. */
  #isPresent({ shards, othersVersion }: Kept): boolean {
    let index = 0;
    for (const shard of this.#owned()) {
      const known = shards[index++];
      if (known?.shard !== shard || known.version !== shard.namesVersion) return false;
    }
    return index === shards.length && othersVersion === this.#othersVersion;
  }

  *entries(projectId: string): Iterable<NameKnowledge> {
    const owned = new Set<number>();
    for (const shard of this.#owned()) {
      owned.add(shard.number);
      yield* shard.names(projectId).values();
    }
    for (const entry of this.#others) {
      if (entry.projectId === projectId && !owned.has(entry.shard)) yield entry;
    }
  }
}
