import { needsOf, warningsOf } from "../app/needs.ts";
import { maskConfig } from "../config/mask.ts";
import { systemClock } from "../platform/clock.ts";
import { checkOnline } from "./check-online.ts";
import { type ConfigArgs, mustLoad } from "./config.ts";
import type { ExitCode, Io } from "./io.ts";
import { renderTable } from "./table.ts";

export interface CheckArgs extends ConfigArgs {
  readonly online?: boolean;
}

/** The configuration as it resolves, what it asks of the cloud, and with `online` what the cloud says. */
export async function check(args: CheckArgs, io: Io): Promise<ExitCode> {
  const { config } = await mustLoad(args, io);
  io.out(maskConfig(config));
  const online = args.online ? await checkOnline(config, io) : null;
  const needs = needsOf(online?.found ?? config, systemClock.now());
  const rows = needs.map(({ project, instances, discovers, idle, busy, allowed }) => [
    project,
    `${instances}${discovers && online === null ? " and what discovery finds" : ""}`,
    rate(idle),
    rate(busy),
    rate(allowed),
  ]);
  for (const line of renderTable(COLUMNS, rows, io.width)) io.out(line);
  for (const warning of warningsOf(needs, config.poll.concurrency)) io.err(`warning: ${warning}`);
  return online?.accepted === false ? 1 : 0;
}

const COLUMNS = [
  { title: "PROJECT" },
  { title: "INSTANCES" },
  { title: "NEEDS/S", align: "right", whole: true },
  { title: "WITH OPEN TASKS", align: "right", whole: true },
  { title: "MAY USE/S", align: "right", whole: true },
] as const;

const rate = (perSecond: number): string => String(Number(perSecond.toPrecision(3)));
