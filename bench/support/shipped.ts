import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Figure } from "./report.ts";

/** What the program is started with: variables of the environment, and flags of Node.js. */
export interface Shipped {
  readonly env: Readonly<Record<string, string>>;
  readonly flags: readonly string[];
  /** Both, as they stand in the first line of the program. */
  readonly text: string;
}

const FIRST_LINE = /^#!\/usr\/bin\/env -S (.*)\n/;

/** From the first line of the program, or from BENCH_FLAGS, where others are to be compared with them. */
export const shipped: Shipped = parse(process.env.BENCH_FLAGS ?? firstLine());

function firstLine(): string {
  const program = readFileSync(new URL("../../bin/dms-taskwatch.js", import.meta.url), "utf8");
  const [, text] = FIRST_LINE.exec(program) ?? [];
  if (text === undefined) throw new Error("bin/dms-taskwatch.js does not begin with the flags it runs with");
  return text;
}

function parse(text: string): Shipped {
  const words = text.split(/\s+/).filter((word) => word !== "" && word !== "node" && word !== "none");
  const flags = words.filter((word) => word.startsWith("-"));
  const env = words.filter((word) => !word.startsWith("-")).map((word) => word.split("=", 2));
  return {
    env: Object.fromEntries(env),
    flags,
    text: words.join(" ") || "no flags",
  };
}

/** The figure that a script prints as JSON in a process that is started as the program is. */
export function resultOf(script: string, args: readonly string[]): Figure {
  const { status, stdout } = spawnSync(process.execPath, [...shipped.flags, script, ...args], {
    env: { ...process.env, ...shipped.env },
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${script} ${args.join(" ")} broke off with exit code ${status}`);
  return JSON.parse(stdout) as Figure;
}
