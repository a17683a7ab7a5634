import { readdirSync, readFileSync } from "node:fs";
import type { Client } from "./connect.ts";
import { asStoreErrors } from "./errors.ts";

const FOLDER = new URL("./lua/", import.meta.url);

/** `commit.12+4.lua`: twelve keys, and four more for each further thing. */
const FILE = /^(\w+)\.(\d+)(?:\+(\d+))?\.lua$/;

export interface Script {
  readonly name: string;
  readonly file: string;
  readonly keys: number;
  /** Further keys come in groups of so many; 0 for none. */
  readonly more: number;
  /** With the prelude, as the server gets it. */
  readonly text: string;
}

/** The scripts by name; how many keys each takes is in the file's name, and nowhere else. */
export function readScripts(): ReadonlyMap<string, Script> {
  const prelude = readFileSync(new URL("prelude.lua", FOLDER), "utf8");
  const scripts = new Map<string, Script>();
  for (const file of readdirSync(FOLDER)) {
    const [, name, keys, more] = FILE.exec(file) ?? [];
    if (name === undefined) continue;
    const text = `${prelude}\n${readFileSync(new URL(file, FOLDER), "utf8")}`;
    scripts.set(name, { name, file, keys: Number(keys), more: Number(more ?? 0), text });
  }
  return scripts;
}

export type ScriptName =
  | "acquire"
  | "aside"
  | "asideletter"
  | "asidenote"
  | "claim"
  | "commit"
  | "drop"
  | "free"
  | "join"
  | "lose"
  | "note"
  | "prune"
  | "release"
  | "renew"
  | "replay"
  | "settle"
  | "take"
  | "touch";

type Argument = string | number;
export type Run = (name: ScriptName, keys: readonly string[], args: readonly Argument[]) => Promise<unknown>;

/** Runs scripts by their hash, sending the text where the server does not know it. Rejects with StoreError. */
export function scriptRunner(client: Client): Run {
  const scripts = readScripts();
  const commands = client as unknown as Record<string, (args: readonly Argument[]) => Promise<unknown>>;
  for (const { name, text } of scripts.values()) client.defineCommand(`taskwatch_${name}`, { lua: text });
  return (name, keys, args) => {
    const script = scripts.get(name);
    const more = keys.length - (script?.keys ?? 0);
    const fits = script && (script.more === 0 ? more === 0 : more >= 0 && more % script.more === 0);
    // A shifted argument would look like "fenced" or "nothing to do".
    if (!fits) throw new Error(`script ${name} takes ${script?.file}, not ${keys.length} keys`);
    // As one list: a large commit has more arguments than a call may have.
    return asStoreErrors(name, async () => commands[`taskwatch_${name}`]?.([keys.length, ...keys, ...args]));
  };
}
