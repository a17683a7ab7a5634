import { dirname } from "node:path";
import { check } from "./checks.ts";
import type { Config } from "./config.ts";
import { addVariables, environmentSource, variable } from "./environment.ts";
import { type FileReader, FileSet, type ReadFile } from "./files.ts";
import { hashConfig } from "./hash.ts";
import { addIssues } from "./issues.ts";
import { readProfiles } from "./profile.ts";
import { resolveConfig } from "./resolve.ts";
import { schema } from "./schema.ts";
import { readSecretFiles } from "./secret-files.ts";
import { isMap, newSource, type Problem, type Source } from "./source.ts";
import type { Environment } from "./substitute.ts";
import { parseYaml } from "./yaml.ts";

/** Where the file is looked for when neither the command line nor TASKWATCH_CONFIG names one. */
const DEFAULT_FILES = ["config/taskwatch.yaml", "/etc/dms-taskwatch/taskwatch.yaml"] as const;

export interface LoadOptions {
  /** From the command line; goes before TASKWATCH_CONFIG and the default places. */
  readonly path?: string | undefined;
  readonly env: Environment;
  readonly defaultFiles?: readonly string[];
  readonly readFile?: FileReader;
}

export type LoadResult =
  | {
      readonly ok: true;
      readonly config: Config;
      /** For `taskwatch_config_hash`. */
      readonly hash: number;
      /** Every file that was read or looked for in vain, for the watcher. */
      readonly files: readonly ReadFile[];
    }
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly files: readonly ReadFile[] };

/**
 * Loads the configuration: file or environment, variables, files of secrets, schema, checks. All problems are reported
 * at once, in the order of the file, and none of them holds a secret. Never rejects.
 */
export async function loadConfig(options: LoadOptions): Promise<LoadResult> {
  const files = new FileSet(options.readFile);
  const source = await readSource(options, files);
  // Without a tree the file could not be read as one, and there is nothing more to say.
  const config = source.tree === null ? undefined : await judge(source, options.env, files);
  if (config === undefined) return { ok: false, problems: inOrder(source.problems), files: files.list() };
  return { ok: true, config, hash: hashConfig(config), files: files.list() };
}

async function readSource(options: LoadOptions, files: FileSet): Promise<Source> {
  const named = options.path ?? variable(options.env, "TASKWATCH_CONFIG");
  const places = named === undefined ? (options.defaultFiles ?? DEFAULT_FILES) : [named];
  for (const path of places) {
    const content = await files.read(path);
    if (content.ok) return parseYaml(path, content.text, options.env);
    if (content.missing && named === undefined) continue;
    const source = newSource(path);
    const found = `a file ${content.reason}`;
    source.problems.push({ ...NOWHERE, file: path, found, allowed: "a YAML or JSON file that can be read" });
    return source;
  }
  return environmentSource(options.env, places);
}

const NOWHERE = { line: null, column: null, path: "" } as const;

async function judge(source: Source, env: Environment, files: FileSet): Promise<Config | undefined> {
  dropEmptySections(source);
  addVariables(source, env);
  await readSecretFiles(source, dirname(source.file), files);
  await readProfiles(source, env, files);
  const parsed = schema.safeParse(source.tree);
  if (!parsed.success) addIssues(source, parsed.error.issues);
  check(source);
  if (source.problems.length > 0 || !parsed.success) return undefined;
  return deepFreeze(resolveConfig(parsed.data));
}

/** A section whose keys are all commented out is there with nothing in it, and means its defaults. */
function dropEmptySections(source: Source): void {
  const { tree } = source;
  if (!isMap(tree)) return;
  for (const key of Object.keys(tree)) if (tree[key] === null && key !== "projects") delete tree[key];
}

/** By place, each once: a value that several rules refuse for the same thing found is said once, the first way. */
function inOrder(problems: readonly Problem[]): readonly Problem[] {
  const once = new Map<string, Problem>();
  for (const problem of problems) {
    const key = JSON.stringify([problem.file, problem.line, problem.column, problem.path, problem.found]);
    if (!once.has(key)) once.set(key, problem);
  }
  const last = Number.MAX_SAFE_INTEGER;
  return [...once.values()].sort(
    (a, b) => (a.line ?? last) - (b.line ?? last) || (a.column ?? last) - (b.column ?? last),
  );
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
