import type { ServerResponse } from "node:http";
import { createGzip } from "node:zlib";
import type { Answer } from "./answers.ts";
import type { Damage } from "./fault-rules.ts";
import type { ActiveFault } from "./faults.ts";
import { malform } from "./malformed.ts";

type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>;
type Headers = Readonly<Record<string, string>>;

const CHUNK = Buffer.alloc(64 * 1024, 0x20);

/** Sends an answer, damaged as the fault says. Ends early when the signal is aborted or the client leaves. */
export async function deliver(
  response: ServerResponse,
  answer: Answer,
  common: Headers,
  fault: ActiveFault | null,
  sleep: Sleep,
  closing: AbortSignal,
): Promise<void> {
  if (!fault) return send(response, answer, common);
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const signal = AbortSignal.any([closing, gone.signal]);
  try {
    if (fault.delay > 0) await sleep(fault.delay, signal);
    await damaged(response, answer, common, fault.damage, (ms) => sleep(ms, signal));
  } catch (error) {
    if (!signal.aborted) throw error;
    response.destroy();
  }
}

function send(response: ServerResponse, answer: Answer, common: Headers): void {
  head(response, answer, common, Buffer.byteLength(answer.body));
  response.end(answer.body);
}

function head(response: ServerResponse, answer: Answer, common: Headers, length: number | null): void {
  response.sendDate = false;
  response.writeHead(answer.status, {
    "Content-Type": "application/json",
    ...(length === null || answer.status === 204 ? {} : { "Content-Length": String(length) }),
    ...common,
    ...answer.headers,
  });
}

async function damaged(
  response: ServerResponse,
  answer: Answer,
  common: Headers,
  damage: Damage | null,
  wait: (ms: number) => Promise<void>,
): Promise<void> {
  const body = Buffer.from(answer.body);
  switch (damage?.kind) {
    case undefined:
    case "delay":
      return send(response, answer, common);
    case "hang":
      return;
    case "truncated":
      return send(
        response,
        { ...answer, body: body.subarray(0, Math.floor(body.length * damage.keep)) },
        common,
      );
    case "empty":
      return send(response, { status: damage.status, body: "" }, common);
    case "body":
      return send(response, damage, common);
    case "redirect":
      return send(
        response,
        { status: damage.status, headers: { Location: damage.location }, body: "" },
        common,
      );
    case "malformed":
      return send(
        response,
        { ...answer, body: malform(body.toString(), damage.variant, damage.all) },
        common,
      );
    case "drip":
      head(response, answer, common, body.length);
      response.flushHeaders();
      for (let at = 0; at < body.length; at += damage.bytes) {
        await wait(damage.every);
        response.write(body.subarray(at, at + damage.bytes));
      }
      response.end();
      return;
    case "reset":
      return reset(response, answer, common, body, damage.after_bytes);
    case "wrong_length":
      head(response, answer, common, Math.max(0, body.length + damage.by));
      response.write(body, () => response.socket?.end());
      return;
    case "huge":
      return huge(response, answer, common, damage.bytes, damage.gzip);
  }
}

function reset(
  response: ServerResponse,
  answer: Answer,
  common: Headers,
  body: Buffer,
  after?: number,
): void {
  const { socket } = response;
  if (after === undefined) {
    socket?.resetAndDestroy();
    return;
  }
  head(response, answer, common, body.length);
  response.flushHeaders();
  response.write(body.subarray(0, after), () => socket?.resetAndDestroy());
}

/** The answer's JSON after so many bytes of white space, which stays valid JSON. */
async function huge(
  response: ServerResponse,
  answer: Answer,
  common: Headers,
  bytes: number,
  gzip: boolean,
): Promise<void> {
  const headers = gzip ? { ...answer.headers, "Content-Encoding": "gzip" } : answer.headers;
  head(response, headers ? { ...answer, headers } : answer, common, null);
  const sink = gzip ? createGzip({ level: 1 }) : response;
  if (sink !== response) sink.pipe(response);
  const closed = new Promise<void>((resolve) => response.once("close", resolve));
  for (let left = bytes; left > 0 && !response.destroyed; left -= CHUNK.length) {
    const ready = sink.write(left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK);
    if (!ready) await Promise.race([new Promise((resolve) => sink.once("drain", resolve)), closed]);
  }
  if (response.destroyed) sink.destroy();
  else sink.end(answer.body);
}
