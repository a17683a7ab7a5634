import type { Engine } from "./task.ts";

/** An instance that discovery found and that has not left. */
export interface DiscoveredInstance {
  readonly id: string;
  readonly name: string;
  readonly engine: Engine;
  /** By the cloud; null where unreadable. */
  readonly createdAt: number | null;
  /** Found by the project's first discovery: it was there before anybody watched. */
  readonly initial: boolean;
  /** Not in the last complete listing. Alone this changes nothing: its own 404 must say so too. */
  readonly missing: boolean;
}

/** What is known of a project's instances through discovery; shared by all replicas. */
export interface Discovered {
  /** When the project was first listed, epoch milliseconds. */
  readonly since: number;
  /** When it was last listed whole. */
  readonly at: number;
  readonly instances: readonly DiscoveredInstance[];
}

export interface Rediscovered {
  readonly next: Discovered;
  readonly added: readonly DiscoveredInstance[];
  /** Missing since this listing. */
  readonly missed: readonly DiscoveredInstance[];
}

/**
 * Takes in a complete listing of some engines. Nothing that is watched ever leaves by it, so a failing or empty listing
 * costs nothing; it says nothing about instances of other engines.
 */
export function rediscover(
  known: Discovered | null,
  listed: readonly Pick<DiscoveredInstance, "id" | "name" | "engine" | "createdAt">[],
  engines: readonly Engine[],
  now: number,
  isWatched: (instance: DiscoveredInstance) => boolean,
): Rediscovered {
  const before = new Map(known?.instances.map((each) => [each.id, each]));
  const seen = new Set<string>();
  const added: DiscoveredInstance[] = [];
  const instances: DiscoveredInstance[] = [];
  for (const { id, name, engine, createdAt } of listed) {
    if (seen.has(id)) continue;
    seen.add(id);
    const old = before.get(id);
    const instance = { id, name, engine, createdAt, initial: old?.initial ?? known === null, missing: false };
    instances.push(instance);
    if (!old) added.push(instance);
  }
  const missed: DiscoveredInstance[] = [];
  for (const old of before.values()) {
    if (seen.has(old.id)) continue;
    const instance = { ...old, missing: old.missing || engines.includes(old.engine) };
    // Nobody would ever read its 404, and the note would grow with each that came and went.
    if (instance.missing && !isWatched(instance)) continue;
    instances.push(instance);
    if (instance.missing && !old.missing) missed.push(instance);
  }
  return { next: { since: known?.since ?? now, at: now, instances }, added, missed };
}

/**
 * Removes an instance whose own 404 was read, if the last complete listing does not show it either. Null when it does,
 * or when the instance is not known: nothing changes.
 */
export function forget(known: Discovered, id: string): Discovered | null {
  if (!known.instances.some((each) => each.id === id && each.missing)) return null;
  return { ...known, instances: known.instances.filter((each) => each.id !== id) };
}

/** Created after its project was first watched: it has no baseline, everything in it is news. */
export const isBornWatched = ({ since }: Discovered, { createdAt, initial }: DiscoveredInstance): boolean =>
  !initial && createdAt !== null && createdAt > since;
