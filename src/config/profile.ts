import { homedir } from "node:os";
import { join } from "node:path";
import type { FileSet } from "./files.ts";
import { problemAt } from "./problem.ts";
import { isMap, type Path, pathKey, placeOf, type Source, type TreeMap } from "./source.ts";
import type { Environment } from "./substitute.ts";

/**
 * Replaces `credentials: { profile: NAME }` by the keys in that section of `~/.huaweicloud/credentials`, the file of
 * the official SDKs (HUAWEICLOUD_SDK_CREDENTIALS_FILE names another). Its project_id and iam_endpoint also
 * apply where the project sets none.
 */
export async function readProfiles(source: Source, env: Environment, files: FileSet): Promise<void> {
  const projects = isMap(source.tree) ? source.tree.projects : undefined;
  if (!Array.isArray(projects)) return;
  for (const [index, project] of projects.entries()) {
    if (!isMap(project) || !isMap(project.credentials)) continue;
    // With other keys beside it the form is wrong, which the checks say.
    const { profile, ...others } = project.credentials;
    if (typeof profile !== "string" || Object.keys(others).length > 0) continue;
    const path: Path = ["projects", index, "credentials", "profile"];
    await readProfile(source, project, project.credentials, profile, path, env, files);
  }
}

async function readProfile(
  source: Source,
  project: TreeMap,
  credentials: TreeMap,
  profile: string,
  path: Path,
  env: Environment,
  files: FileSet,
): Promise<void> {
  const refuse = (allowed: string, found?: string) => {
    source.problems.push(problemAt(source, path, allowed, found));
    source.broken.add(pathKey(path.slice(0, -1)));
  };
  if (source.broken.has(pathKey(path))) {
    source.broken.add(pathKey(path.slice(0, -1)));
    return;
  }
  const file =
    env.HUAWEICLOUD_SDK_CREDENTIALS_FILE || join(env.HOME || homedir(), ".huaweicloud", "credentials");
  const content = await files.read(file);
  if (!content.ok)
    return refuse(`a profile of ${file}`, `a profile while ${file} is a file ${content.reason}`);
  const sections = parseIni(content.text);
  const section = sections.get(profile);
  if (!section) {
    const names = [...sections.keys()].join(", ") || "none is there";
    return refuse(`a section of ${file}: ${names}`);
  }
  const take = (map: TreeMap, key: string, name: string) => {
    const value = section.get(name);
    if (value === undefined || Object.hasOwn(map, key)) return;
    map[key] = value;
    source.places.set(pathKey([...path.slice(0, map === project ? -2 : -1), key]), {
      ...placeOf(source, path),
      name: `${name} of profile ${profile}`,
    });
  };
  if (!section.get("ak") || !section.get("sk")) return refuse(`a section of ${file} with ak and sk`);
  delete credentials.profile;
  take(credentials, "access_key", "ak");
  take(credentials, "secret_key", "sk");
  take(credentials, "security_token", "security_token");
  take(project, "project_id", "project_id");
  take(project, "iam_endpoint", "iam_endpoint");
}

/** Sections of `key = value` lines; `#` and `;` begin a comment line. */
function parseIni(text: string): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const sections = new Map<string, Map<string, string>>();
  let section: Map<string, string> | undefined;
  for (const line of text.replace(/^\uFEFF/, "").split(/\r?\n/)) {
    const trimmed = line.trim();
    if (trimmed === "" || /^[#;]/.test(trimmed)) continue;
    const header = /^\[(.+)\]$/.exec(trimmed)?.[1];
    if (header !== undefined) {
      section = sections.get(header.trim()) ?? new Map();
      sections.set(header.trim(), section);
      continue;
    }
    const split = trimmed.indexOf("=");
    if (split > 0) section?.set(trimmed.slice(0, split).trim(), trimmed.slice(split + 1).trim());
  }
  return sections;
}
