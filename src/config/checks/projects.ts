import { isMap, type Path, type Source, type TreeMap } from "../source.ts";
import { mapsIn, say, sayKey, unique } from "./common.ts";
import { checkWindow } from "./window.ts";

export function checkProject(source: Source, path: Path, project: TreeMap): void {
  const instances = mapsIn(project.instances ?? [], []).map(
    ([inner, instance]) => [[...path, "instances", ...inner], instance] as const,
  );
  unique(source, instances, "id", "instance of this project");
  if (!Object.hasOwn(project, "instances") && !Object.hasOwn(project, "discover")) {
    say(source, path, "instances or discover", "a project that watches nothing");
  }
  if (isMap(project.credentials)) checkCredentials(source, [...path, "credentials"], project.credentials);
  for (const [inner, instance] of instances) {
    if (isMap(instance.window)) checkWindow(source, inner);
  }
}

const FORMS: readonly (readonly string[])[] = [
  ["access_key", "secret_key"],
  ["profile"],
  ["token"],
  ["user", "password", "domain"],
  ["metadata"],
];
const FORM_WORDS =
  "exactly one form: access_key and secret_key (with security_token for temporary keys), profile, token, " +
  "user with password and domain, or metadata; each secret also as a file";

function checkCredentials(source: Source, path: Path, credentials: TreeMap): void {
  const has = (key: string) => Object.hasOwn(credentials, key);
  const forms = FORMS.filter((keys) => keys.some(has));
  const [form] = forms;
  if (form === undefined || forms.length > 1) {
    const found =
      form === undefined ? "no form" : forms.map((keys) => keys.filter(has).join(" with ")).join(" beside ");
    say(source, path, FORM_WORDS, found);
    return;
  }
  for (const key of form.filter((name) => !has(name))) {
    say(source, [...path, key], `${form.join(", ")}, all of them`, "nothing");
  }
  if (has("security_token") && !has("access_key")) {
    sayKey(
      source,
      [...path, "security_token"],
      "access_key and secret_key beside it",
      "a security token alone",
    );
  }
}
