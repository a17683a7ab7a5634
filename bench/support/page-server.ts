import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/*
 * The cloud of the poll cycle's measurement, a process of its own: pages from memory, as cheap as can be, so that it
 * is never what is measured. An instance whose id begins with `busy` shows one transition at every poll. Its port is the
 * only thing that it prints.
 */

/** Of the last day. A first poll asks further back and sees more, as in life. */
const ROWS = 8;
const ROWS_IN_ALL = 12;

const DAY = 86_400_000;
const began = Date.now();

const row = (id: string, status: string, at: number): string =>
  JSON.stringify({
    id,
    name: "kafkaConfigModify",
    user_name: "paas_dms",
    user_id: "3df5acbc24a54fadb62a043c9000a307",
    params: '{"old_auto_status":true,"new_auto_status":false}',
    status,
    created_at: new Date(at).toISOString(),
    updated_at: new Date(at + 65_000).toISOString(),
  });

const id = (number: number): string => number.toString(16).padStart(32, "8abfa7b372160bfd");
const page = (rows: readonly string[]): Buffer =>
  Buffer.from(`{"task_count":"${rows.length}","tasks":[${rows.join(",")}]}`);

const all = Array.from({ length: ROWS_IN_ALL }, (_, index) =>
  row(id(index), "SUCCESS", began - (index < ROWS ? 600_000 * (index + 1) : DAY * (index + 1))),
);
const first = page(all);
const idle = page(all.slice(0, ROWS));
const below = all.slice(0, ROWS - 1);
const polls = new Map<string, number>();

/** What a task goes through, one step at each poll. */
const COURSE = ["CREATED", "WAITING", "EXECUTING", "SUCCESS"] as const;

/** The newest task of a busy instance. */
function newest(poll: number): string {
  const number = ROWS_IN_ALL + Math.floor(poll / COURSE.length);
  return row(id(number), COURSE[poll % COURSE.length] ?? "", began - 120_000 + number);
}

function firstPage(instance: string, deep: boolean): Buffer {
  if (deep) return first;
  if (!instance.startsWith("busy")) return idle;
  const poll = polls.get(instance) ?? 0;
  polls.set(instance, poll + 1);
  return page([newest(poll), ...below]);
}

/** Of the same list, from a position on; asked once, when the length of a page is new. */
function laterPage(instance: string, deep: boolean, position: number): Buffer {
  if (deep) return page(all.slice(position));
  const top = instance.startsWith("busy") ? [newest((polls.get(instance) ?? 1) - 1)] : all.slice(0, 1);
  return page([...top, ...all.slice(instance.startsWith("busy") ? 0 : 1, ROWS)].slice(position, ROWS));
}

/** `begin_time` is `YYYYMMDDHHmmss`, which sorts as text. */
const dayAgo = new Date(began - 2 * DAY).toISOString().replaceAll(/\D/g, "").slice(0, 14);

const server = createServer(({ url = "" }, response) => {
  const [, , , , instance = ""] = url.split("/");
  const deep = (/begin_time=(\d+)/.exec(url)?.[1] ?? dayAgo) < dayAgo;
  const position = /(?:start|offset)=(\d+)/.exec(url)?.[1];
  const body =
    position === undefined ? firstPage(instance, deep) : laterPage(instance, deep, Number(position));
  response.writeHead(200, { "content-type": "application/json", "content-length": body.length });
  response.end(body);
});
process.once("disconnect", () => process.exit());
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
