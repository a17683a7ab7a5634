import { resolve } from "node:path";
import type { FileSet } from "./files.ts";
import { formatPath, problemAt, problemAtKey, quote } from "./problem.ts";
import { baseOfFileKey, FILE_ONLY_KEYS, FREE_MAPS } from "./secret-keys.ts";
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
      source.values.set(pathKey(to), { ...placeOf(source, from), name: formatPath(from) });
      put(content.ok ? content.text.replace(/\r?\n$/, "") : "");
      if (content.ok) return;
      source.broken.add(pathKey(to));
      const found = `${showName(file)}, a file ${content.reason}`;
      source.problems.push(problemAt(source, from, "the name of a text file that can be read", found));
    }),
  );
}

function collect(source: Source, tree: Tree, path: Path, references: Reference[]): void {
  if (Array.isArray(tree)) {
    tree.forEach((item, index) => {
      const inner = [...path, index];
      const last = path.at(-1);
      if (last === "secret" || last === "urls")
        collectMap(item, inner, references, (text) => (tree[index] = text));
      collect(source, item, inner, references);
    });
  } else if (isMap(tree) && !FREE_MAPS.has(String(path.at(-1)))) {
    for (const key of Object.keys(tree)) {
      collectKey(source, tree, key, path, references);
      const value = tree[key];
      if (value !== undefined) collect(source, value, [...path, key], references);
    }
  } else if (isMap(tree) && path.at(-1) === "headers") {
    for (const key of Object.keys(tree)) {
      const put = (text: string) => (tree[key] = text);
      collectMap(tree[key] ?? null, [...path, key], references, put);
    }
  }
}

/** `{ file: name }` in place of a text. */
function collectMap(value: Tree, path: Path, references: Reference[], put: (text: string) => void): void {
  if (!isMap(value) || typeof value.file !== "string" || Object.keys(value).length !== 1) return;
  references.push({ file: value.file, from: [...path, "file"], to: path, put });
}

function collectKey(source: Source, map: TreeMap, key: string, path: Path, references: Reference[]): void {
  const from = [...path, key];
  if (path.at(-1) === "tls" && FILE_ONLY_KEYS.has(key)) {
    source.problems.push(problemAtKey(source, from, `${key}_file, the name of a file`, "an unknown key"));
    source.broken.add(pathKey(from));
    return;
  }
  const base = baseOfFileKey(key);
  if (base === undefined) return;
  const to = [...path, base];
  if (Object.hasOwn(map, base)) {
    source.problems.push(problemAtKey(source, from, `either ${base} or ${key}`, "both"));
    source.broken.add(pathKey(to));
    delete map[key];
    return;
  }
  const names = map[key];
  source.values.set(pathKey(to), { ...placeOf(source, from), name: formatPath(from) });
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
