import type { SharedDocuments } from "./store.ts";

export interface Document<T> {
  readonly value: T;
  readonly text: string;
  readonly version: number;
}

/** Documents without a `v` are of version 1. */
const KNOWN = 1;

/**
 * Reads a note with the parser of its kind. One that cannot be read is set aside, so that what is written in its place
 * does not replace the only copy; it then counts as not there. Rejects as the store does.
 * @param parse null for what is no such document
 */
export async function readDocument<T>(
  notes: Pick<SharedDocuments, "read" | "setAside">,
  name: string,
  parse: (text: string) => T | null,
): Promise<Document<T> | null> {
  const note = await notes.read(name);
  if (note === null) return null;
  const { value: text, version } = note;
  const format = formatOf(text);
  const value = format > KNOWN ? null : parse(text);
  if (value !== null) return { value, text, version };
  const why =
    format > KNOWN
      ? `it has format ${format}, and this version knows up to ${KNOWN}`
      : "it is damaged: it is not a document of its kind";
  await notes.setAside(name, version, why);
  return null;
}

function formatOf(text: string): number {
  // Nearly all have none: most are read many times a minute.
  if (!text.includes('"v"')) return KNOWN;
  try {
    const { v } = JSON.parse(text) as { readonly v?: unknown };
    return typeof v === "number" ? v : KNOWN;
  } catch {
    return KNOWN;
  }
}
