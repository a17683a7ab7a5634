import { apiDemand, apiDemandWarnings } from "../app/api-demand.ts";
import { ProjectIds } from "../app/project-ids.ts";
import type { Config } from "../config/config.ts";
import { maskConfig } from "../config/mask.ts";
import { StoreError, UsageError } from "../errors.ts";
import { systemClock } from "../platform/clock.ts";
import { checkOnline } from "./check-online.ts";
import { type ConfigArgs, mustLoad } from "./config.ts";
import type { ExitCode, Io } from "./io.ts";
import { withStore } from "./store.ts";
import { renderTable } from "./table.ts";
import { tellUnwatched } from "./unwatched.ts";

export interface CheckArgs extends ConfigArgs {
  readonly online?: boolean;
}

/** The configuration as it resolves, what it asks of the cloud, and with `online` what the cloud says. */
export async function check(args: CheckArgs, io: Io): Promise<ExitCode> {
  const { config } = await mustLoad(args, io);
  io.out(maskConfig(config));
  const online = args.online ? await checkOnline(config, io) : null;
  const needs = apiDemand(online?.found ?? config, systemClock.now());
  const rows = needs.map(({ project, instances, discovers, idle, busy, allowed }) => [
    project,
    `${instances}${discovers && online === null ? " and what discovery finds" : ""}`,
    rate(idle),
    rate(busy),
    rate(allowed),
  ]);
  for (const line of renderTable(COLUMNS, rows, io.width)) io.out(line);
  for (const warning of apiDemandWarnings(needs, config.poll.concurrency)) io.err(`warning: ${warning}`);
  if (args.online) await tellStored(config, io);
  return online?.accepted === false ? 1 : 0;
}

/** What the daemon does not watch, where it has a store that this command can read. */
async function tellStored(config: Config, io: Io): Promise<void> {
  try {
    await withStore(config, async (store) => {
      const complete = await new ProjectIds(store.notes).complete(config);
      await tellUnwatched(store, complete, io);
    });
  } catch (error) {
    // The store of a daemon that never ran is not there, and one in memory cannot be seen.
    if (error instanceof UsageError) return;
    if (!(error instanceof StoreError)) throw error;
    io.err(`warning: what the daemon watches is not known: ${error.message}`);
  }
}

const COLUMNS = [
  { title: "PROJECT" },
  { title: "INSTANCES" },
  { title: "NEEDS/S", align: "right", whole: true },
  { title: "WITH OPEN TASKS", align: "right", whole: true },
  { title: "MAY USE/S", align: "right", whole: true },
] as const;

const rate = (perSecond: number): string => String(Number(perSecond.toPrecision(3)));
