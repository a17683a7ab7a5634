import type { Config } from "../config/config.ts";
import { iso } from "../core/data.ts";
import { UsageError } from "../errors.ts";
import { systemClock } from "../platform/clock.ts";
import type { DeadLetter, DeadLetterPage, Outbox, Store } from "../ports/store.ts";
import { jsonText } from "../views/printable.ts";
import { plural, timeText } from "../views/text.ts";
import { type ConfigArgs, mustLoad } from "./config.ts";
import type { ExitCode, Io } from "./io.ts";
import { withStore } from "./store.ts";
import { type Column, renderTable } from "./table.ts";
import { webhookOf } from "./webhook.ts";

/** Dead letters in memory at once. */
const PAGE = 500;

/** What could not be delivered, the oldest first. */
export async function listDeadLetters(
  args: ConfigArgs & { readonly json?: boolean },
  io: Io,
): Promise<ExitCode> {
  const { config } = await mustLoad(args, io);
  await withStore(config, (store) => (args.json ? listJson(store, io) : listTable(store, io)));
  return 0;
}

/** The columns are as wide as the widest of all, so the rows are kept; the bodies are not. */
async function listTable({ outbox }: Store, io: Io): Promise<void> {
  const rows: (readonly string[])[] = [];
  for await (const letters of pagesOf(outbox)) for (const letter of letters) rows.push(row(letter));
  if (rows.length === 0) io.out("no dead letters");
  else for (const line of renderTable(COLUMNS, rows, null)) io.out(line);
}

/** One JSON document, written page by page. */
async function listJson({ outbox }: Store, io: Io): Promise<void> {
  io.out('{\n  "dead_letters": [');
  // One behind, for the last one is followed by no comma.
  let last: string | null = null;
  for await (const letters of pagesOf(outbox)) {
    for (const letter of letters) {
      if (last !== null) io.out(`${last},`);
      last = jsonText(letterJson(letter)).replace(/^/gm, "    ");
    }
  }
  if (last !== null) io.out(last);
  io.out("  ]\n}");
}

async function* pagesOf(outbox: Outbox): AsyncGenerator<readonly DeadLetter[], void, undefined> {
  for (let after: string | null | undefined; after !== null; ) {
    const page: DeadLetterPage = await outbox.deadLetters({
      limit: PAGE,
      ...(after === undefined ? {} : { after }),
    });
    yield page.letters;
    after = page.next;
  }
}

export interface ReplayArgs extends ConfigArgs {
  /** Only dead letters of this webhook. */
  readonly webhook?: string;
  /** The webhook that gets them. */
  readonly to?: string;
}

/**
 * Puts dead letters back, all without ids; the daemon delivers them. Another webhook gets the stored event, with its id
 * and sequence: its format renders it when it is sent.
 */
export async function replayDeadLetters(ids: readonly string[], args: ReplayArgs, io: Io): Promise<ExitCode> {
  const { config } = await mustLoad(args, io);
  const { webhook: from, to } = args;
  if (to !== undefined) mustTakeEvents(config, to);
  if (to !== undefined && ids.length === 0 && from === undefined) {
    throw new UsageError(
      "dead-letters replay --to: give ids, or --webhook NAME for all dead letters of that webhook",
    );
  }
  return withStore(config, async ({ outbox }) => {
    const webhooks = to === undefined ? await webhooksOf(outbox, ids, from) : [];
    const found = await outbox.replay(ids.length === 0 ? null : ids, systemClock.now(), { from, to });
    const configured = new Set(config.webhooks.map(({ name }) => name));
    for (const name of webhooks) {
      if (configured.has(name)) continue;
      io.err(
        `webhook ${name} is not configured: what is put back for it waits for an hour, then it is dead again. To send it to another webhook: dms-taskwatch dead-letters replay --webhook ${name} --to NAME`,
      );
    }
    return told(
      io,
      ids,
      found,
      to === undefined ? "put back for delivery" : `put back for delivery to ${to}`,
    );
  });
}

/** Throws `UsageError` for a webhook that is not configured, or takes no events. */
function mustTakeEvents(config: Config, name: string): void {
  if (webhookOf(config, name).format === "alertmanager") {
    throw new UsageError(
      `dead-letters replay --to: webhook ${name} has format alertmanager, which takes no events. Give another webhook`,
    );
  }
}

/** Webhooks of these letters, or of all without ids. */
async function webhooksOf(
  outbox: Outbox,
  ids: readonly string[],
  from: string | undefined,
): Promise<ReadonlySet<string>> {
  const wanted = new Set(ids);
  const webhooks = new Set<string>();
  for await (const letters of pagesOf(outbox)) {
    for (const { eventId, webhook } of letters) {
      if (from !== undefined && webhook !== from) continue;
      if (ids.length === 0 || wanted.has(eventId)) webhooks.add(webhook);
    }
  }
  return webhooks;
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
