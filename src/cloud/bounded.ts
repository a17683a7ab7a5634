import { createHash } from "node:crypto";

/** Names and ids of the services are far shorter; what is longer would fill store, log and webhooks. */
const LONGEST = 256;
const HASHED = 32;
/** No id of the services has it. */
const MARK = "…";

/** A name as it is kept: at most 256 characters, and without halves of surrogate pairs, which no store keeps. */
export function boundedName(name: string): string {
  return name.length <= LONGEST ? name.toWellFormed() : cut(name, LONGEST);
}

/**
 * An id as it is kept. One that cannot be kept as it is gets a stand-in, which differs between ids that differ, and
 * by which the service cannot be asked.
 */
export function boundedId(id: string): string {
  if (id.length <= LONGEST && id.isWellFormed()) return id;
  // UTF-16 as it is: UTF-8 has no halves of pairs, and would make two ids one.
  const hash = createHash("sha256").update(id, "utf16le").digest("hex").slice(0, HASHED);
  return `${cut(id, LONGEST - HASHED - MARK.length)}${MARK}${hash}`;
}

export const isStandIn = (id: string): boolean => id.at(-HASHED - 1) === MARK;

function cut(text: string, length: number): string {
  const half = /[\ud800-\udbff]$/;
  return text.slice(0, length).replace(half, "").toWellFormed();
}
