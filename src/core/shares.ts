/**
 * How many shards a replica should hold. Everybody sorts the live members the same way; the first ones hold one
 * more where the shards do not divide evenly. So no election is needed, and no more shards move than must.
 */
export function shareOf(member: string, members: readonly string[], shards: number): number {
  const sorted = [...members].sort();
  const place = sorted.indexOf(member);
  if (place < 0) return 0;
  const base = Math.floor(shards / sorted.length);
  return base + (place < shards % sorted.length ? 1 : 0);
}
