import { execFile } from "node:child_process";

/** Debian packages that bring the servers' own command line tools. */
const PACKAGES = {
  promtool: "prometheus",
  amtool: "prometheus-alertmanager",
  "prometheus-alertmanager": "prometheus-alertmanager",
} as const;

export type Tool = keyof typeof PACKAGES;

export interface Outcome {
  readonly code: number;
  /** Standard output and error, in this order. */
  readonly output: string;
}

/** What to do when a tool is not there: these tests prove nothing without it, so they fail. */
export function missing(tool: Tool): Error {
  return new Error(
    `${tool} is not installed, and the alert tests need it: apt-get install --yes ${PACKAGES[tool]}`,
  );
}

/** Runs a tool to its end. Rejects when it is not installed. */
export function run(tool: Tool, args: readonly string[], cwd?: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    execFile(tool, args, { cwd, timeout: 120_000 }, (error, stdout, stderr) => {
      if (error === null) return resolve({ code: 0, output: stdout + stderr });
      if (error.code === "ENOENT") return reject(missing(tool));
      if (typeof error.code !== "number") return reject(error);
      resolve({ code: error.code, output: stdout + stderr });
    });
  });
}
