import type { ServerResponse } from "node:http";
import type { FastifyInstance } from "fastify";
import { StoreError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Api, EventsJson } from "../views/api.ts";
import { EVENTS_AFTER, EVENTS_TYPE } from "./api-routes.ts";
import { BadRequest, readParameters, writeCursor } from "./query.ts";

const MOST_CLIENTS = 64;
/** The store is asked so often for what is new. */
const LOOK_MS = 1_000;
/** A comment, so that neither side nor a proxy takes the connection for dead. */
const HEARTBEAT_MS = 15_000;
/** A client that takes nothing for so long is let go; it may come back and go on where it was. */
const PATIENCE_MS = 15_000;
/** For the client, before it tries again. */
const RETRY_MS = 3_000;
const PAGE = 100;

const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  // Proxies must not gather it.
  "x-accel-buffering": "no",
  connection: "close",
};

export interface EventStreamOptions {
  readonly api: Api;
  readonly clock: Clock;
  /** Aborted when the program stops: the streams end. */
  readonly stopping: AbortSignal;
  /** Told of errors that no client may see. */
  readonly onError: (error: unknown) => void;
}

interface Client {
  readonly out: ServerResponse;
  readonly types: ReadonlySet<string> | null;
  /** False once the credentials that it came with are not the ones any more. */
  readonly mayAsk: () => boolean;
  /** Of the last event that was written. */
  cursor: string;
  /** Monotonic; null while it takes what it gets. */
  blockedSince: number | null;
}

/**
 * GET /api/v1/events/stream. Each client has a place in the events of the store, and whatever replica it comes back
 * to goes on from there. What a client does not take is not kept for it: it is read again when it does.
 */
export function eventStream(app: FastifyInstance, options: EventStreamOptions): void {
  const { api, stopping } = options;
  const streams = new Streams(options);

  app.get("/api/v1/events/stream", async (request, reply) => {
    const { after, type } = readParameters("query", request.query, {
      after: EVENTS_AFTER,
      type: EVENTS_TYPE,
    });
    const last = lastEventId(request.headers["last-event-id"]);
    if (request.method === "HEAD") return reply.headers(HEADERS).send();
    if (streams.size >= MOST_CLIENTS) {
      const error = `${MOST_CLIENTS} streams are open, which is the most`;
      return reply.code(503).header("retry-after", "30").send({ error });
    }
    const cursor = last ?? after ?? (await api.newestEvents(0)).cursor;
    const headers = reply.headers(HEADERS).getHeaders();
    reply.hijack();
    const out = reply.raw;
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) out.setHeader(name, value);
    out.write(`retry: ${RETRY_MS}\n\n`);
    if (stopping.aborted) return out.end();
    const types = type && new Set(type);
    streams.add({ out, types, mayAsk: () => request.mayAsk(), cursor, blockedSince: null });
  });

  stopping.addEventListener("abort", () => streams.end(), { once: true });
  // So that the loop is never the thing that a stop waits for.
  app.addHook("preClose", async () => streams.end());
}

function lastEventId(header: string | string[] | undefined): string | null {
  if (header === undefined || header === "") return null;
  const cursor = EVENTS_AFTER.read(String(header));
  if (cursor !== null) return cursor;
  throw new BadRequest([
    { where: "header.last-event-id", found: "something else", allowed: "the id of an earlier event" },
  ]);
}

class Streams {
  readonly #options: EventStreamOptions;
  readonly #clients = new Set<Client>();
  #running = false;
  #ended = false;

  constructor(options: EventStreamOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#clients.size;
  }

  add(client: Client): void {
    // It left while its place in the events was looked up: no `close` will come any more.
    if (client.out.destroyed) return;
    this.#clients.add(client);
    client.out.once("close", () => this.#clients.delete(client));
    client.out.on("error", () => client.out.destroy());
    if (!this.#running) void this.#run();
  }

  end(): void {
    this.#ended = true;
    for (const { out } of this.#clients) out.end();
  }

  async #run(): Promise<void> {
    const { clock, stopping, onError } = this.#options;
    this.#running = true;
    let heardAt = clock.monotonic();
    while (this.#clients.size > 0 && !this.#ended) {
      try {
        // There is more where a page was full.
        while (await this.#look()) if (this.#ended) break;
      } catch (error) {
        // That the store is away is told by the store; the stream goes on when it is back.
        if (!(error instanceof StoreError)) onError(error);
      }
      if (clock.monotonic() - heardAt >= HEARTBEAT_MS) {
        heardAt = clock.monotonic();
        for (const { out, mayAsk } of this.#clients) {
          if (mayAsk()) out.write(": still here\n\n");
          else out.end();
        }
      }
      await clock.sleep(LOOK_MS, stopping).catch(() => {});
    }
    this.#running = false;
  }

  /** One page for each client; those at the same place share the reading of it. True when there is more to send. */
  async #look(): Promise<boolean> {
    const pages = new Map<string, Promise<EventsJson>>();
    let more = false;
    for (const client of [...this.#clients]) {
      if (!this.#takes(client)) continue;
      const page = pages.get(client.cursor) ?? this.#options.api.events(client.cursor, PAGE, null);
      pages.set(client.cursor, page);
      if (this.#write(client, await page)) more = true;
    }
    return more;
  }

  #takes(client: Client): boolean {
    if (client.blockedSince === null) return true;
    if (!client.out.writableNeedDrain) {
      client.blockedSince = null;
      return true;
    }
    if (this.#options.clock.monotonic() - client.blockedSince >= PATIENCE_MS) client.out.destroy();
    return false;
  }

  /** As much as the client takes. True when it may take more, and there may be more. */
  #write(client: Client, { events, cursor }: EventsJson): boolean {
    if (client.out.destroyed || client.out.writableEnded) return false;
    for (const { event, cursor: after } of events) {
      client.cursor = after;
      if (client.types !== null && !client.types.has(event.type)) continue;
      const id = writeCursor("events", after);
      if (client.out.write(`id: ${id}\ndata: ${JSON.stringify(event)}\n\n`)) continue;
      client.blockedSince = this.#options.clock.monotonic();
      return false;
    }
    client.cursor = cursor;
    return events.length === PAGE;
  }
}
