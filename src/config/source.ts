/** A configuration as written: every scalar is text, for only the schema knows which type a key has. Maps have no prototype. */
export type Tree = string | null | Tree[] | TreeMap;
export interface TreeMap {
  [key: string]: Tree;
}

export type Path = readonly (string | number)[];

/** Where a value stands. `line` and `column` count from 1, null outside a file. */
export interface Place {
  readonly file: string;
  readonly line: number | null;
  readonly column: number | null;
  /** The key path as the operator knows it, where it differs from the tree's: `secret_key_file`, a variable's name. */
  readonly name?: string;
  /** The scalar as written, before substitution. */
  readonly written?: string;
  /** What to say was found, where the value itself would mislead. */
  readonly found?: string;
}

/** The place of a value and of its key; in a list the two are one. */
export interface Located {
  readonly value: Place;
  readonly key: Place;
}

/** One thing wrong with a configuration. No field ever holds a secret's value. */
export interface Problem {
  readonly file: string;
  /** From 1; null where there is no line, as in the environment. */
  readonly line: number | null;
  readonly column: number | null;
  /** The key's path, `webhooks[0].url`; empty for the file as a whole. */
  readonly path: string;
  readonly found: string;
  readonly allowed: string;
}

/** A tree, where its values stand, and what was found wrong so far. */
export interface Source {
  readonly file: string;
  /** Null as long as nothing could be read. */
  tree: Tree;
  /** The place in the file, undefined for what is not in it. */
  locate: (path: Path) => Located | undefined;
  /** Places of values that do not stand in the file, by `pathKey`; they go before `locate`. */
  readonly places: Map<string, Place>;
  readonly problems: Problem[];
  /** Values that could not be had and were already complained about: nothing more is said about them. */
  readonly broken: Set<string>;
}

export const newSource = (file: string): Source => ({
  file,
  tree: null,
  locate: () => undefined,
  places: new Map(),
  problems: [],
  broken: new Set(),
});

export const newMap = (): TreeMap => Object.create(null) as TreeMap;

export const pathKey = (path: Path): string => JSON.stringify(path);

export const isMap = (tree: Tree | undefined): tree is TreeMap =>
  typeof tree === "object" && tree !== null && !Array.isArray(tree);

/** The value at a path, undefined where there is none. */
export function valueAt(tree: Tree, path: Path): Tree | undefined {
  let value: Tree | undefined = tree;
  for (const step of path) {
    if (Array.isArray(value) && typeof step === "number") value = value[step];
    else if (isMap(value) && Object.hasOwn(value, step)) value = value[step];
    else return undefined;
  }
  return value;
}

/** The place of the value itself, undefined where it has none. */
export function exactPlaceOf(source: Source, path: Path): Place | undefined {
  return source.places.get(pathKey(path)) ?? source.locate(path)?.value;
}

/** The place of the value, else of the nearest thing around it. */
export function placeOf(source: Source, path: Path): Place {
  for (let length = path.length; length >= 0; length--) {
    const place = exactPlaceOf(source, path.slice(0, length));
    if (place) return place;
  }
  return { file: source.file, line: null, column: null };
}

/** Whether the value, or something around it, is known to be broken. */
export function isBroken(source: Source, path: Path): boolean {
  if (source.broken.size === 0) return false;
  for (let length = path.length; length > 0; length--) {
    if (source.broken.has(pathKey(path.slice(0, length)))) return true;
  }
  return false;
}
