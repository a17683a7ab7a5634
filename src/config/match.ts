import { compileGlob } from "../util/glob.ts";
import type { MatchConfig } from "./config.ts";

/** What a `match` is tried on. Null where it has no such thing: a project's event has no instance, an instance's no task. */
export interface MatchSubject {
  readonly project: string;
  readonly region: string;
  readonly instance: { readonly id: string; readonly name: string; readonly engine: string } | null;
  readonly task: string | null;
}

export const MATCH_ALL: MatchConfig = {
  project: null,
  instance: null,
  task: null,
  engine: null,
  region: null,
};

/**
 * Compiles a `match`: every key that is set must fit, any glob of a key's list will do, `instance` is tried on name
 * and id. What the subject does not have is the empty text, as a missing label is for Alertmanager: `*` fits it.
 */
export function compileMatch(match: MatchConfig): (subject: MatchSubject) => boolean {
  const project = anyOf(match.project);
  const region = anyOf(match.region);
  const engine = anyOf(match.engine);
  const instance = anyOf(match.instance);
  const task = anyOf(match.task);
  return (subject) =>
    project(subject.project) &&
    region(subject.region) &&
    engine(subject.instance?.engine ?? "") &&
    (instance(subject.instance?.name ?? "") || instance(subject.instance?.id ?? "")) &&
    task(subject.task ?? "");
}

/**
 * Compiles a `match` to "could it fit an instance of this project?": the keys that only instances and tasks have count
 * as fitting. A receiver that watches one instance must learn that the whole project cannot be read.
 */
export function compileProjectMatch(
  match: MatchConfig,
): (subject: Pick<MatchSubject, "project" | "region">) => boolean {
  const matches = compileMatch({ ...match, engine: null, instance: null, task: null });
  return ({ project, region }) => matches({ project, region, instance: null, task: null });
}

function anyOf(globs: readonly string[] | null): (text: string) => boolean {
  if (globs === null) return () => true;
  const compiled = globs.map(compileGlob);
  return (text) => compiled.some((fits) => fits(text));
}
