export type QueryPairs = readonly (readonly [name: string, value: string])[];

const UNRESERVED = /^[A-Za-z0-9\-_.~]*$/;

/** Percent-encodes all but A-Z a-z 0-9 - _ . ~ as UTF-8: stricter than encodeURIComponent, which leaves !'()* alone. */
export function encode(text: string): string {
  if (UNRESERVED.test(text)) return text;
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/**
 * The query as it is signed: encoded, sorted by name and then value in code unit order. It is also what must be
 * sent, because HTTP clients encode fewer characters than the signature asks for.
 */
export function canonicalQuery(pairs: QueryPairs): string {
  return [...pairs]
    .sort((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]))
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join("&");
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
