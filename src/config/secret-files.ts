import { resolve } from "node:path";
import type { FileSet } from "./files.ts";
import { formatPath, problemAt, problemAtKey, quote } from "./problem.ts";
import { baseOfFileKey, FILE_ONLY_KEYS } from "./secret-keys.ts";
import { isMap, type Path, pathKey, placeOf, type Source, type Tree, type TreeMap } from "./source.ts";

/** A value that stands in a file: where to put it, and what to call it. */
interface Reference {
  readonly file: string;
  /** Where the file's name stands. */
  readonly from: Path;
  /** Where its content goes. */
  readonly to: Path;
  readonly put: (content: string) => void;
}

/**
 * Puts the content of files where the configuration names them: `x_file` becomes `x`, `{ file: … }` in a list of
 * secrets or as a header's value becomes the text. A final newline is taken off. Relative names start at `directory`.
 */
export async function readSecretFiles(source: Source, directory: string, files: FileSet): Promise<void> {
  const references: Reference[] = [];
  collect(source, source.tree, [], references);
  await Promise.all(
    references.map(async ({ file, from, to, put }) => {
      const content = await files.read(resolve(directory, file));
      source.places.set(pathKey(to), { ...placeOf(source, from), name: formatPath(from) });
      put(content.ok ? content.text.replace(/\r?\n$/, "") : "");
      if (content.ok) return;
      source.broken.add(pathKey(to));
      const found = `${showName(file)}, a file ${content.reason}`;
      source.problems.push(problemAt(source, from, "the name of a text file that can be read", found));
    }),
  );
}

function collect(source: Source, tree: Tree, path: Path, references: Reference[]): void {
  const name = path.findLast((step) => typeof step === "string");
  if (Array.isArray(tree)) {
    const ofSecrets = name === "secret" || name === "urls";
    for (const [index, item] of tree.entries()) {
      if (ofSecrets) collectMap(item, [...path, index], references, (text) => (tree[index] = text));
      else if (typeof item === "object") collect(source, item, [...path, index], references);
    }
  } else if (isMap(tree) && name === "headers") {
    for (const [key, value] of Object.entries(tree)) {
      collectMap(value, [...path, key], references, (text) => (tree[key] = text));
    }
  } else if (isMap(tree) && name !== "by_task") {
    for (const [key, value] of Object.entries(tree)) {
      const base = baseOfFileKey(key);
      if (name === "tls" && FILE_ONLY_KEYS.has(key)) refuseInline(source, [...path, key], key);
      else if (base !== undefined) collectKey(source, tree, key, base, path, references);
      else if (typeof value === "object") collect(source, value, [...path, key], references);
    }
  }
}

function refuseInline(source: Source, path: Path, key: string): void {
  source.problems.push(problemAtKey(source, path, `${key}_file, the name of a file`, "an unknown key"));
  source.broken.add(pathKey(path));
}

/** `{ file: name }` in place of a text. */
function collectMap(value: Tree, path: Path, references: Reference[], put: (text: string) => void): void {
  if (!isMap(value) || typeof value.file !== "string" || Object.keys(value).length !== 1) return;
  references.push({ file: value.file, from: [...path, "file"], to: path, put });
}

/** `x_file` beside which there must be no `x`. */
function collectKey(
  source: Source,
  map: TreeMap,
  key: string,
  base: string,
  path: Path,
  references: Reference[],
): void {
  const from = [...path, key];
  const to = [...path, base];
  if (Object.hasOwn(map, base)) {
    source.problems.push(problemAtKey(source, from, `either ${base} or ${key}`, "both"));
    source.broken.add(pathKey(to));
    delete map[key];
    return;
  }
  const names = map[key];
  source.places.set(pathKey(to), { ...placeOf(source, from), name: formatPath(from) });
  delete map[key];
  if (source.broken.has(pathKey(from))) {
    map[base] = "";
    source.broken.add(pathKey(to));
  } else if (typeof names === "string" && names !== "") {
    map[base] = "";
    references.push({ file: names, from, to, put: (text) => (map[base] = text) });
  } else if (base === "secret" && Array.isArray(names) && names.every((name) => typeof name === "string")) {
    const texts: Tree[] = names.map(() => "");
    map[base] = texts;
    names.forEach((file, index) => {
      const put = (text: string) => (texts[index] = text);
      references.push({ file, from: [...from, index], to: [...to, index], put });
    });
  } else {
    map[base] = "";
    source.broken.add(pathKey(to));
    source.problems.push(problemAt(source, from, "the name of a file", "no name"));
  }
}

/** A secret that was put where a file's name belongs must not be shown; a name has a slash or a dot. */
function showName(name: string): string {
  return /^\.{0,2}\/|\.\w+$/.test(name) && !name.startsWith("whsec_")
    ? quote(name)
    : "a name that is not shown";
}
