import { UsageError } from "../errors.ts";
import { runSimulator } from "../simulator/command.ts";
import type { ExitCode, Io } from "./io.ts";

export interface SimulateArgs {
  readonly listen: string;
  readonly scenario?: string;
  readonly instances?: number;
  readonly tasks?: number;
  readonly rate?: number;
  readonly seed?: number;
  /** False with `--no-check-signatures`; true without it, which leaves the choice to the scenario. */
  readonly checkSignatures: boolean;
  readonly logSize?: number;
}

export async function simulate({ checkSignatures, ...args }: SimulateArgs, io: Io): Promise<ExitCode> {
  try {
    const lenient = checkSignatures ? {} : { checkSignatures: false };
    await runSimulator({ ...args, ...lenient }, { stdout: io.out, signal: io.signal });
    return 0;
  } catch (error) {
    // All else that it refuses is in its arguments or in the scenario.
    if (!(error instanceof Error) || ("syscall" in error && error.syscall === "listen")) throw error;
    throw new UsageError(error.message, { cause: error });
  }
}
