/** Kinds of happening that are counted apart; the set of statuses is open, the state is not. */
const KINDS = 64;

/**
 * Counts one more happening. Keys always hold a colon, so that none of them is the name of something that every
 * object inherits. Past `KINDS` keys, new ones share `<first word>:OTHER`: ids stay distinct, only less telling.
 */
export function countOccurrence(
  counts: Readonly<Record<string, number>>,
  happening: string,
): {
  readonly counts: Readonly<Record<string, number>>;
  readonly happening: string;
  readonly occurrence: number;
} {
  const full = counts[happening] === undefined && Object.keys(counts).length >= KINDS;
  const key = full ? `${happening.slice(0, happening.indexOf(":"))}:OTHER` : happening;
  const occurrence = (counts[key] ?? 0) + 1;
  return { counts: { ...counts, [key]: occurrence }, happening: key, occurrence };
}

/** A text of the cloud's as part of a key. */
export const keyPart = (text: string): string => text.slice(0, 64);
