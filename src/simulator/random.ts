import { hash } from "node:crypto";

/** A repeatable source of numbers in [0, 1): the same seed gives the same run. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** 32 hex digits that follow from the text; the form of task and project ids. */
export function hexId(text: string): string {
  return hash("sha256", text).slice(0, 32);
}

/** A UUID that follows from the text; the form of instance ids. */
export function uuid(text: string): string {
  const hex = hexId(text);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
}
