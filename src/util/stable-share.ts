/** A number in [0, 1) that depends on the text alone (FNV-1a): to spread things evenly and the same everywhere. */
export function stableShare(text: string): number {
  return stableHash(text) / 2 ** 32;
}

/** 32 bits of the text. */
export function stableHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash ^= text.charCodeAt(index);
    hash = Math.imul(hash, 0x01000193);
  }
  // FNV leaves similar endings close together; the finaliser of MurmurHash3 spreads them.
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
