import { CloudError } from "../errors.ts";
import { type KeyPair, type RequestAuth, secretsOf, signerOf } from "./auth.ts";
import { classify, httpDate } from "./classify.ts";
import { instant } from "./decode.ts";
import type { HttpAnswer } from "./http.ts";
import { isFields, parseJson } from "./json.ts";
import { type Fetched, Refreshing } from "./refreshing.ts";
import type { Signer } from "./sign.ts";
import { type RequestTarget, target } from "./target.ts";
import type { Transport } from "./transport.ts";

export interface MetadataOptions {
  /**
   * Leads to the metadata service: without a proxy, with a short timeout, and past the project's gate, because what
   * this service answers says nothing of what the cloud accepts and costs nothing of the project's budget.
   */
  readonly transport: Transport;
  /** Origin of the metadata service. */
  readonly endpoint: string;
  /** Ends the calls that nobody waits for. */
  readonly lifetime: AbortSignal;
}

export const METADATA_ENDPOINT = "http://169.254.169.254";

/** Keys live for an hour, and new ones appear ten minutes before the end of the old. */
const MARGIN_MS = 10 * 60_000;
const TOKEN_TTL_SECONDS = 21_600;
/** Servers without the token step. */
const NO_TOKEN_STEP: ReadonlySet<number> = new Set([404, 405, 503]);
const NO_AGENCY = "Please configure Cloud Service Agency first";

interface Agency {
  readonly keys: KeyPair;
  readonly signer: Signer;
}

interface MetadataToken {
  readonly text: string;
  /** By the monotonic clock. */
  readonly endsAt: number;
}

/** Temporary keys of the agency of the cloud server that the program runs on, kept fresh. */
export function metadataAuth(options: MetadataOptions): RequestAuth {
  const { transport, endpoint, lifetime } = options;
  const { clock } = transport;
  const tokenAt = target(endpoint, ["meta-data", "latest", "api", "token"], null);
  const keyAt = target(endpoint, ["openstack", "latest", "securitykey"], null);
  let token: MetadataToken | null = null;

  const obtainToken = (signal: AbortSignal): Promise<MetadataToken | null> =>
    transport.call(
      "token",
      {
        request: () => ({
          method: "PUT",
          origin: tokenAt.origin,
          path: tokenAt.path,
          headers: { host: tokenAt.host, "x-metadata-token-ttl-seconds": String(TOKEN_TTL_SECONDS) },
          body: "",
        }),
        judge: (answer) => {
          if (NO_TOKEN_STEP.has(answer.status)) return null;
          if (answer.status !== 200) throw refusal(answer, tokenAt, clock.now());
          const text = answer.body.trim();
          if (!/^[\x21-\x7e]{1,4096}$/.test(text)) throw unusable(answer, tokenAt, "no token");
          return { text, endsAt: clock.monotonic() + (TOKEN_TTL_SECONDS * 1000) / 2 };
        },
      },
      signal,
    );

  /** Null: not without a token, or not with this one. */
  const obtainKeys = (signal: AbortSignal): Promise<Fetched<Agency> | null> =>
    transport.call(
      "token",
      {
        request: () => ({
          method: "GET",
          origin: keyAt.origin,
          path: keyAt.path,
          headers: { host: keyAt.host, ...(token === null ? {} : { "x-metadata-token": token.text }) },
        }),
        judge: (answer) => {
          if (answer.status === 401 && answer.body.includes(NO_AGENCY))
            throw refused("this server has no agency");
          if (answer.status === 401) return null;
          if (answer.status !== 200) throw refusal(answer, keyAt, clock.now());
          return readKeys(answer, keyAt, clock.now());
        },
      },
      signal,
    );

  const refused = (problem: string): CloudError =>
    new CloudError("credentials_rejected", `${keyAt.host}: ${problem}`, { status: 401 });

  const fetch = async (signal: AbortSignal): Promise<Fetched<Agency>> => {
    if (token === null || clock.monotonic() >= token.endsAt) token = await obtainToken(signal);
    const first = await obtainKeys(signal);
    if (first !== null) return first;
    token = await obtainToken(signal);
    const second = await obtainKeys(signal);
    if (second === null) throw refused("the metadata service gives no keys, with a token or without");
    return second;
  };

  const agency = new Refreshing(fetch, MARGIN_MS, clock, lifetime);
  return {
    prepare: (signal) => agency.prepare(signal),
    headers: (where, query, now) => agency.value?.signer.headers(where, query, now) ?? {},
    renew: null,
    discard: () => agency.discard(),
    signs: true,
    secrets: () => (agency.value === null ? [] : secretsOf(agency.value.keys)),
  };
}

function readKeys(answer: HttpAnswer, at: RequestTarget, now: number): Fetched<Agency> {
  const body = parseJson(answer.body);
  const found = isFields(body) && isFields(body.credential) ? body.credential : {};
  const { access, secret, securitytoken } = found;
  const ends = instant(found.expires_at);
  if (
    typeof access !== "string" ||
    typeof secret !== "string" ||
    typeof securitytoken !== "string" ||
    access === "" ||
    secret === "" ||
    ends === null
  ) {
    throw unusable(answer, at, "no keys");
  }
  const keys = { accessKey: access, secretKey: secret, securityToken: securitytoken };
  const lifetimeMs = Math.max(0, ends - (httpDate(answer) ?? now));
  return { value: { keys, signer: signerOf(keys) }, key: access, lifetimeMs };
}

function refusal(answer: HttpAnswer, at: RequestTarget, now: number): CloudError {
  return classify(answer, { where: at.host, now, secrets: [], signed: false });
}

function unusable(answer: HttpAnswer, at: RequestTarget, problem: string): CloudError {
  return new CloudError("bad_response", `${at.host} answered ${answer.status} with ${problem}`, {
    status: answer.status,
  });
}
