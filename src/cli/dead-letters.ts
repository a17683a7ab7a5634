import { iso } from "../core/data.ts";
import { UsageError } from "../errors.ts";
import { systemClock } from "../platform/clock.ts";
import type { DeadLetter } from "../ports/store.ts";
import { plural, timeText } from "../views/text.ts";
import { type ConfigArgs, mustLoad } from "./config.ts";
import type { ExitCode, Io } from "./io.ts";
import { jsonText } from "./printable.ts";
import { withStore } from "./store.ts";
import { type Column, renderTable } from "./table.ts";

/** What could not be delivered, the oldest first. */
export async function listDeadLetters(
  args: ConfigArgs & { readonly json?: boolean },
  io: Io,
): Promise<ExitCode> {
  const { config } = await mustLoad(args, io);
  const letters = await withStore(config, ({ outbox }) => outbox.deadLetters());
  if (args.json) io.out(jsonText({ dead_letters: letters.map(letterJson) }));
  else if (letters.length === 0) io.out("no dead letters");
  else for (const line of renderTable(COLUMNS, letters.map(row), null)) io.out(line);
  return 0;
}

/** Puts dead letters back, all without ids; the daemon delivers them. */
export async function replayDeadLetters(ids: readonly string[], args: ConfigArgs, io: Io): Promise<ExitCode> {
  const { config } = await mustLoad(args, io);
  const found = await withStore(config, ({ outbox }) =>
    outbox.replay(ids.length === 0 ? null : ids, systemClock.now()),
  );
  return told(io, ids, found, "put back for delivery");
}

/** Forgets dead letters. */
export async function dropDeadLetters(
  ids: readonly string[],
  args: ConfigArgs & { readonly all?: boolean },
  io: Io,
): Promise<ExitCode> {
  if (ids.length === 0 && !args.all) {
    throw new UsageError("dead-letters drop: give ids, or --all: what is dropped is lost");
  }
  if (ids.length > 0 && args.all) throw new UsageError("dead-letters drop: give ids or --all, not both");
  const { config } = await mustLoad(args, io);
  const found = await withStore(config, ({ outbox }) => outbox.drop(ids.length === 0 ? null : ids));
  return told(io, ids, found, "dropped");
}

function told(io: Io, ids: readonly string[], found: readonly string[], what: string): ExitCode {
  io.out(`${plural(found.length, "event")} ${what}`);
  const missing = ids.filter((id) => !found.includes(id));
  for (const id of missing) io.err(`${id}: there is no such dead letter`);
  return missing.length > 0 ? 1 : 0;
}

const COLUMNS: readonly Column[] = [
  { title: "EVENT ID", whole: true },
  { title: "WEBHOOK" },
  { title: "TYPE" },
  { title: "DEAD SINCE" },
  { title: "ATTEMPTS", align: "right" },
  { title: "REASON", uncut: true },
];

const row = ({ eventId, webhook, type, at, attempts, reason }: DeadLetter): readonly string[] => [
  eventId,
  webhook,
  type,
  timeText(at),
  String(attempts),
  reason,
];

const letterJson = ({ eventId, webhook, type, at, since, attempts, reason, body }: DeadLetter) => ({
  event_id: eventId,
  webhook,
  type,
  dead_since: iso(at),
  since: iso(since),
  attempts,
  reason,
  event: JSON.parse(body) as unknown,
});
