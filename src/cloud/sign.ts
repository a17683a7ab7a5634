import { hash } from "node:crypto";
import { Hmac } from "./hmac.ts";
import type { RequestTarget } from "./target.ts";

/** SHA-256 of no body at all: every signed call of this program is a GET. */
const EMPTY_BODY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** The canonical request of one target, cut at what changes from call to call: the query, then the date. */
interface Prepared {
  readonly lead: string;
  readonly beforeDate: string;
  readonly afterDate: string;
  /** The Authorization header up to the signature. */
  readonly authorization: string;
}

/**
 * Signs GET requests by SDK-HMAC-SHA256 with one key pair. What is constant for a key or a target is made once, since
 * every poll signs the same path.
 */
export class Signer {
  readonly #accessKey: string;
  readonly #hmac: Hmac;
  readonly #extra: Readonly<Record<string, string>>;
  readonly #prepared = new WeakMap<RequestTarget, Prepared>();
  #date = { second: Number.NaN, text: "" };

  /** @param extra headers of every call, sent and signed; lower-case names */
  constructor(accessKey: string, secretKey: string, extra: Readonly<Record<string, string>> = {}) {
    this.#accessKey = accessKey;
    this.#hmac = new Hmac(secretKey);
    this.#extra = extra;
  }

  /**
   * All headers that the call needs.
   * @param query the canonical query, exactly as it will be sent
   * @param now epoch milliseconds; the gateway refuses what is off by more than 15 minutes
   */
  headers(target: RequestTarget, query: string, now: number): Record<string, string> {
    const date = this.#dateText(now);
    const { lead, beforeDate, afterDate, authorization } = this.#prepare(target);
    const canonical = `${lead}${query}${beforeDate}${date}${afterDate}`;
    const text = `SDK-HMAC-SHA256\n${date}\n${hash("sha256", canonical)}`;
    return {
      host: target.host,
      "x-sdk-date": date,
      ...target.headers,
      ...this.#extra,
      authorization: `${authorization}${this.#hmac.hex(text)}`,
    };
  }

  #prepare(target: RequestTarget): Prepared {
    const known = this.#prepared.get(target);
    if (known) return known;
    const names = ["host", "x-sdk-date", ...Object.keys(target.headers), ...Object.keys(this.#extra)].sort();
    const values: Record<string, string> = { ...target.headers, ...this.#extra, host: target.host };
    const line = (name: string): string => `${name}:${(values[name] ?? "").trim()}\n`;
    const cut = names.indexOf("x-sdk-date");
    const prepared = {
      lead: `GET\n${target.path.endsWith("/") ? target.path : `${target.path}/`}\n`,
      beforeDate: `\n${names.slice(0, cut).map(line).join("")}x-sdk-date:`,
      afterDate: `\n${names
        .slice(cut + 1)
        .map(line)
        .join("")}\n${names.join(";")}\n${EMPTY_BODY}`,
      authorization: `SDK-HMAC-SHA256 Access=${this.#accessKey}, SignedHeaders=${names.join(";")}, Signature=`,
    };
    this.#prepared.set(target, prepared);
    return prepared;
  }

  #dateText(now: number): string {
    const second = Math.floor(now / 1000);
    if (second !== this.#date.second) this.#date = { second, text: sdkDate(second * 1000) };
    return this.#date.text;
  }
}

/** `YYYYMMDDTHHMMSSZ` of epoch milliseconds. */
function sdkDate(now: number): string {
  return `${new Date(now).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
}
