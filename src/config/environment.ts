import { isMap, newMap, newSource, type Path, type Place, pathKey, type Source, valueAt } from "./source.ts";
import type { Environment } from "./substitute.ts";

const FILE = "environment";
const PROJECT: Path = ["projects", 0];

interface Variable {
  readonly name: string;
  readonly path: Path;
  /** What is missing when it is not set; without it the variable is optional. */
  readonly needed?: string;
}

const ACCESS_KEY: Path = [...PROJECT, "credentials", "access_key"];
const SECRET_KEY: Path = [...PROJECT, "credentials", "secret_key"];
const SECURITY_TOKEN: Path = [...PROJECT, "credentials", "security_token"];
const PROJECT_ID: Path = [...PROJECT, "project_id"];

const HW_PROJECT_ID: Variable = { name: "HW_PROJECT_ID", path: PROJECT_ID };

/**
 * Where the credentials come from: the names of the official SDKs, those of Terraform, then those of the samples on
 * the API's pages. The first set of which a needed variable is there is taken whole, so that keys of two accounts are
 * never mixed.
 */
const CREDENTIALS: readonly [readonly Variable[], ...(readonly Variable[])[]] = [
  [
    { name: "HUAWEICLOUD_SDK_AK", path: ACCESS_KEY, needed: "an access key" },
    { name: "HUAWEICLOUD_SDK_SK", path: SECRET_KEY, needed: "a secret key" },
    { name: "HUAWEICLOUD_SDK_SECURITY_TOKEN", path: SECURITY_TOKEN },
    { name: "HUAWEICLOUD_SDK_PROJECT_ID", path: PROJECT_ID },
  ],
  [
    { name: "HW_ACCESS_KEY", path: ACCESS_KEY, needed: "an access key" },
    { name: "HW_SECRET_KEY", path: SECRET_KEY, needed: "a secret key" },
    { name: "HW_SECURITY_TOKEN", path: SECURITY_TOKEN },
    HW_PROJECT_ID,
  ],
  [{ name: "HW_AUTH_TOKEN", path: [...PROJECT, "credentials", "token"], needed: "a token" }, HW_PROJECT_ID],
  [
    { name: "HW_USER_NAME", path: [...PROJECT, "credentials", "user"], needed: "a user name" },
    { name: "HW_USER_PASSWORD", path: [...PROJECT, "credentials", "password"], needed: "a password" },
    { name: "HW_DOMAIN_NAME", path: [...PROJECT, "credentials", "domain"], needed: "an account's name" },
    HW_PROJECT_ID,
  ],
  [
    { name: "CLOUD_SDK_AK", path: ACCESS_KEY, needed: "an access key" },
    { name: "CLOUD_SDK_SK", path: SECRET_KEY, needed: "a secret key" },
  ],
];

const REGION: Path = [...PROJECT, "region"];
/** The later ones where the earlier ones are not set. */
const REGION_NAMES = ["TASKWATCH_REGION", "HW_REGION_NAME"] as const;

const LOG_LEVEL: Variable = { name: "TASKWATCH_LOG_LEVEL", path: ["log", "level"] };

/** These also apply where a file does not set the key. */
const BESIDE_A_FILE: readonly Variable[] = [
  { name: "TASKWATCH_STORE_URL", path: ["store", "url"] },
  { name: "TASKWATCH_LISTEN", path: ["server", "listen"] },
];

const WEBHOOK: readonly Variable[] = [
  { name: "TASKWATCH_WEBHOOK_URL", path: ["webhooks", 0, "url"] },
  { name: "TASKWATCH_WEBHOOK_SECRET", path: ["webhooks", 0, "secret"] },
];

/** The value of a variable. An empty one counts as not set: that is how compose files pass what nobody gave. */
export function variable(env: Environment, name: string): string | undefined {
  return Object.hasOwn(env, name) && env[name] !== "" ? env[name] : undefined;
}

/**
 * The configuration that the environment alone gives: one project named after its region, with the instances listed or
 * all that discovery finds, and one webhook `default` if there is a URL. `looked` are the files that do not exist.
 */
export function environmentSource(env: Environment, looked: readonly string[]): Source {
  const source = newSource(FILE);
  source.tree = { ...newMap(), projects: [newMap()], webhooks: [] };
  const region = REGION_NAMES.find((name) => variable(env, name) !== undefined) ?? REGION_NAMES[0];
  const variables = [...credentialsOf(env), { name: region, path: REGION, needed: "a region" }, LOG_LEVEL];
  for (const entry of variables) {
    if (take(source, env, entry) || entry.needed === undefined) continue;
    const allowed = `${entry.needed}, or a configuration file (${looked.join(" and ")} do not exist)`;
    source.problems.push({ ...placeOfVariable(entry.name), path: entry.name, found: "nothing", allowed });
    put(source, entry.path, "");
    source.broken.add(pathKey(entry.path));
  }
  put(source, [...PROJECT, "name"], variable(env, region) ?? "default");
  takeInstances(source, env);
  if (WEBHOOK.some(({ name }) => variable(env, name) !== undefined)) {
    put(source, ["webhooks", 0, "name"], "default");
    for (const entry of WEBHOOK) take(source, env, entry);
  }
  return source;
}

/** Puts in the variables that apply where a file does not set the key. */
export function addVariables(source: Source, env: Environment): void {
  if (!isMap(source.tree)) return;
  for (const entry of BESIDE_A_FILE) {
    const section = valueAt(source.tree, entry.path.slice(0, -1));
    if (section !== undefined && !isMap(section)) continue;
    const key = entry.path.at(-1);
    if (isMap(section) && (Object.hasOwn(section, `${key}`) || Object.hasOwn(section, `${key}_file`)))
      continue;
    if (variable(env, entry.name) !== undefined) take(source, env, entry);
  }
}

function credentialsOf(env: Environment): readonly Variable[] {
  const given = ({ name, needed }: Variable) => needed !== undefined && variable(env, name) !== undefined;
  return CREDENTIALS.find((set) => set.some(given)) ?? CREDENTIALS[0];
}

function takeInstances(source: Source, env: Environment): void {
  const name = "TASKWATCH_INSTANCES";
  const ids = (variable(env, name) ?? "").split(",").map((id) => id.trim());
  ids
    .filter((id) => id !== "")
    .forEach((id, index) => {
      const path = [...PROJECT, "instances", index, "id"];
      put(source, path, id);
      source.places.set(pathKey(path), placeOfVariable(name));
    });
  if (valueAt(source.tree, [...PROJECT, "instances"]) !== undefined) return;
  put(source, [...PROJECT, "discover"], newMap());
  source.places.set(pathKey([...PROJECT, "discover"]), { ...placeOfVariable(name), found: "nothing" });
}

/** Puts a variable's value in its place, also notes the place when there is no value. */
function take(source: Source, env: Environment, { name, path }: Variable): boolean {
  source.places.set(pathKey(path), placeOfVariable(name));
  const value = variable(env, name);
  if (value !== undefined) put(source, path, value);
  return value !== undefined;
}

const placeOfVariable = (name: string): Place => ({ file: FILE, line: null, column: null, name });

/** Sets a value, with the maps and lists on the way. */
function put(source: Source, path: Path, value: string | ReturnType<typeof newMap>): void {
  let at = source.tree;
  path.forEach((step, index) => {
    const last = index === path.length - 1;
    const next = valueAt(at, [step]) ?? (typeof path[index + 1] === "number" ? [] : newMap());
    const set = last ? value : next;
    if (Array.isArray(at) && typeof step === "number") at[step] = set;
    else if (isMap(at)) at[step] = set;
    at = set;
  });
}
