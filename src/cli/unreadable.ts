import { iso } from "../core/data.ts";
import { UsageError } from "../errors.ts";
import type { Unreadable } from "../ports/store.ts";
import { jsonText } from "../views/printable.ts";
import { plural, timeText } from "../views/text.ts";
import { type ConfigArgs, mustLoad } from "./config.ts";
import type { ExitCode, Io } from "./io.ts";
import { withStore } from "./store.ts";
import { type Column, renderTable } from "./table.ts";

/** More than these are counted. */
const MOST_LINES = 50;

/** For whoever asks for something else: what its answer lacks. */
export function unreadableLines(records: readonly Unreadable[]): readonly string[] {
  const lines = records
    .slice(0, MOST_LINES)
    .map(({ kind, key, why }) => `cannot be read: ${kind} ${key}: ${why}`);
  const more = records.length - lines.length;
  return more > 0 ? [...lines, `${more} more cannot be read: dms-taskwatch unreadable list`] : lines;
}

/** Shows the copies of records that could not be read. */
export async function listUnreadable(
  args: ConfigArgs & { readonly json?: boolean },
  io: Io,
): Promise<ExitCode> {
  const { config } = await mustLoad(args, io);
  const records = await withStore(config, ({ setAside }) => setAside.list(allShards(config.store)));
  if (args.json) io.out(jsonText({ records: records.map(recordJson) }));
  else if (records.length === 0) io.out("nothing is set aside");
  else for (const line of renderTable(COLUMNS, records.map(row), null)) io.out(line);
  return 0;
}

/** Removes the copies, which ends the alert on them. */
export async function dropUnreadable(
  args: ConfigArgs & { readonly all?: boolean },
  io: Io,
): Promise<ExitCode> {
  if (!args.all) throw new UsageError("unreadable drop: give --all: what is dropped is lost");
  const { config } = await mustLoad(args, io);
  await withStore(config, async ({ setAside }) => {
    const records = await setAside.list(allShards(config.store));
    await setAside.drop(records);
    io.out(`${plural(records.length, "record")} dropped`);
  });
  return 0;
}

const allShards = ({ shards }: { readonly shards: number }): readonly number[] => [...Array(shards).keys()];

const COLUMNS: readonly Column[] = [
  { title: "KIND", whole: true },
  { title: "KEY", whole: true },
  { title: "SET ASIDE" },
  { title: "WHY", uncut: true },
];

const row = ({ kind, key, at, why }: Unreadable): readonly string[] => [
  kind,
  key,
  at === null ? "" : timeText(at),
  why,
];

const recordJson = ({ shard, kind, key, at, why }: Unreadable) => ({
  shard,
  kind,
  key,
  set_aside_at: at === null ? null : iso(at),
  why,
});
