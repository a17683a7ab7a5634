import type { Loaded } from "../app/app.ts";
import { type LoadResult, loadConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { UsageError } from "../errors.ts";
import type { Io } from "./io.ts";

export interface ConfigArgs {
  /** `--config`. */
  readonly config?: string | undefined;
}

export const load = ({ config: path }: ConfigArgs, { env }: Io): Promise<LoadResult> =>
  loadConfig({ path, env });

/** Rejects with a UsageError that holds all problems, a line each. */
export async function mustLoad(args: ConfigArgs, io: Io): Promise<Loaded> {
  const result = await load(args, io);
  if (result.ok) return result;
  throw new UsageError(result.problems.map(formatProblem).join("\n"));
}
