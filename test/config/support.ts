import { type LoadResult, loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";

export const HOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/** The smallest file that is complete; what a test is about comes after it. */
export const MINIMAL = `projects:
  - name: prod
    region: eu-west-101
    credentials: { access_key: AK, secret_key: SK }
    instances: [{ id: i-1 }]
`;

export type Files = Readonly<Record<string, string | Uint8Array>>;

/** Loads from texts in place of files; the configuration is `/etc/taskwatch.yaml` unless `path` says otherwise. */
export function load(
  files: Files | string,
  options: { env?: Record<string, string>; path?: string | undefined; defaultFiles?: readonly string[] } = {},
): Promise<LoadResult> {
  const contents: Files = typeof files === "string" ? { "/etc/taskwatch.yaml": files } : files;
  return loadConfig({
    path: "path" in options ? options.path : "/etc/taskwatch.yaml",
    env: options.env ?? {},
    ...(options.defaultFiles ? { defaultFiles: options.defaultFiles } : {}),
    readFile: async (path) => {
      const content = Object.hasOwn(contents, path) ? contents[path] : undefined;
      if (content === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
      return typeof content === "string" ? Buffer.from(content) : content;
    },
  });
}

export async function loaded(...args: Parameters<typeof load>) {
  const result = await load(...args);
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join("\n"));
  return result;
}

/** The problems as printed, without the file's name. */
export async function problems(...args: Parameters<typeof load>): Promise<string[]> {
  const result = await load(...args);
  if (result.ok) throw new Error("the configuration was taken");
  return result.problems.map((problem) => formatProblem(problem).replace(/^\/etc\/taskwatch\.yaml:/, ""));
}
