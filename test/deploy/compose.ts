import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { ROOT } from "./dockerfile.ts";

interface Service {
  readonly image: string;
  readonly build?: { readonly context: string };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly expose?: readonly string[];
  readonly profiles?: readonly string[];
  readonly deploy?: { readonly replicas: number };
  readonly user?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly depends_on?: Readonly<Record<string, unknown>>;
  readonly stop_grace_period?: string;
}

export interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

/** docker-compose.yml as compose reads it: merged, and then the variables of this environment put in. */
export function readCompose(env: Readonly<Record<string, string>> = {}): Compose {
  const text = readFileSync(join(ROOT, "docker-compose.yml"), "utf8");
  return JSON.parse(JSON.stringify(parse(text, { merge: true })), (_, value: unknown) =>
    typeof value === "string" ? interpolate(value, env) : value,
  ) as Compose;
}

function interpolate(text: string, env: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\{([^}]*)\}/g, (written, inside: string) => {
    const [, name = "", colon, fallback] = /^(\w+)(:?)-(.*)$/.exec(inside) ?? [];
    if (fallback === undefined) throw new Error(`compose warns where nobody gives ${written}: no default`);
    const value = env[name];
    return value === undefined || (colon !== "" && value === "") ? fallback : value;
  });
}

/** The variables of .env.example, as compose reads an .env file. */
export const envExample = (): Record<string, string> =>
  Object.fromEntries(
    readFileSync(join(ROOT, ".env.example"), "utf8")
      .split("\n")
      .filter((line) => /^\w+=/.test(line))
      .map((line) => line.split(/=(.*)/s) as [string, string]),
  );
