/** Where a dead letter stands among all: the oldest first, and those of one moment in an order that does not change. */
export type LetterPlace = readonly [at: number, shard: number, seq: number, webhook: string];

const FIRST: LetterPlace = [-1, -1, -1, ""];

export const letterCursor = (place: LetterPlace): string => JSON.stringify(place);

/** A cursor that nobody handed out begins at the oldest: the caller gets too much, never too little. */
export function letterPlace(cursor: string | undefined): LetterPlace {
  try {
    const place: unknown = JSON.parse(cursor ?? "");
    if (!Array.isArray(place)) return FIRST;
    const [at, shard, seq, webhook] = place as unknown[];
    if (typeof at !== "number" || typeof shard !== "number") return FIRST;
    if (typeof seq !== "number" || typeof webhook !== "string") return FIRST;
    return [at, shard, seq, webhook];
  } catch {
    return FIRST;
  }
}

export function comparePlaces(one: LetterPlace, other: LetterPlace): number {
  const [at, shard, seq, webhook] = one;
  const [otherAt, otherShard, otherSeq, otherWebhook] = other;
  if (at !== otherAt) return at - otherAt;
  if (shard !== otherShard) return shard - otherShard;
  if (seq !== otherSeq) return seq - otherSeq;
  return webhook === otherWebhook ? 0 : webhook < otherWebhook ? -1 : 1;
}
