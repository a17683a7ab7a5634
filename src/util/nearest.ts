import { closestMatch } from "leven";

/** Returns the candidate that a mistyped word most likely meant, undefined when none is close. Ignores case. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const maxDistance = Math.max(2, Math.floor(word.length / 3));
  const lowerCase = candidates.map((candidate) => candidate.toLowerCase());
  const closest = closestMatch(word.toLowerCase(), lowerCase, { maxDistance });
  return closest === undefined ? undefined : candidates[lowerCase.indexOf(closest)];
}
