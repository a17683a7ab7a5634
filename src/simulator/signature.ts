import { createHmac, hash, type KeyObject } from "node:crypto";

/** Names and values of a query string, decoded, in the order they came. */
export type QueryPairs = readonly (readonly [string, string])[];

/** What a signature covers. Header names are lower case. */
export interface SignedRequest {
  readonly method: string;
  /** Path as it stands in the request line, without the query. */
  readonly path: string;
  readonly query: QueryPairs;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string | Buffer;
}

export interface Authorization {
  readonly accessKey: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
}

const EMPTY_BODY_HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const UNRESERVED = /^[A-Za-z0-9\-_.~]*$/;
const AUTHORIZATION =
  /^SDK-HMAC-SHA256 +Access=([^, ]+), *SignedHeaders=([A-Za-z0-9\-_;]+), *Signature=([0-9A-Fa-f]{64})$/;

/** `SDK-HMAC-SHA256 Access=…, SignedHeaders=a;b, Signature=…`; undefined when the header has another form. */
export function parseAuthorization(header: string): Authorization | undefined {
  const match = AUTHORIZATION.exec(header);
  if (match?.[1] === undefined || match[2] === undefined || match[3] === undefined) return undefined;
  return {
    accessKey: match[1],
    signedHeaders: match[2].toLowerCase().split(";"),
    signature: match[3].toLowerCase(),
  };
}

/** Decodes a query string; undefined when an escape in it is broken. A plus sign stands for itself. */
export function parseQuery(raw: string): QueryPairs | undefined {
  if (raw === "") return [];
  try {
    return raw
      .split("&")
      .filter((part) => part !== "")
      .map((part): [string, string] => {
        const cut = part.indexOf("=");
        if (cut < 0) return [decodeURIComponent(part), ""];
        return [decodeURIComponent(part.slice(0, cut)), decodeURIComponent(part.slice(cut + 1))];
      });
  } catch {
    return undefined;
  }
}

/**
 * The text that is hashed and signed, by the rules of the API signing guide: path with a slash at its end, query
 * sorted by name and value, signed headers sorted, an empty line after them.
 * @param encodePath how a path segment enters: the gateway's form, or the one some signers give an escaped path
 */
export function canonicalRequest(
  request: SignedRequest,
  signedHeaders: readonly string[],
  encodePath: (segment: string) => string = reencode,
): string {
  const path = request.path.split("/").map(encodePath).join("/");
  const names = [...signedHeaders].sort();
  const headers = names.map((name) => `${name}:${(request.headers[name] ?? "").trim()}\n`).join("");
  const payload = request.headers["x-sdk-content-sha256"] ?? bodyHash(request.body);
  return [
    request.method,
    path.endsWith("/") ? path : `${path}/`,
    canonicalQuery(request.query),
    headers,
    names.join(";"),
    payload,
  ].join("\n");
}

/** Both forms of a path that signers in use produce; one unless the path holds an escape. */
export function canonicalRequests(request: SignedRequest, signedHeaders: readonly string[]): string[] {
  const first = canonicalRequest(request, signedHeaders);
  return request.path.includes("%") ? [first, canonicalRequest(request, signedHeaders, encode)] : [first];
}

export function signatureOf(canonical: string, sdkDate: string, secretKey: string | KeyObject): string {
  const text = `SDK-HMAC-SHA256\n${sdkDate}\n${hash("sha256", canonical)}`;
  return createHmac("sha256", secretKey).update(text).digest("hex");
}

/** Epoch milliseconds of `YYYYMMDDTHHMMSSZ`; undefined when it is none. */
export function parseSdkDate(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (!match) return undefined;
  const iso = `${match[1]}-${match[2]}-${match[3]}T${match[4]}:${match[5]}:${match[6]}Z`;
  const time = Date.parse(iso);
  return Number.isNaN(time) ? undefined : time;
}

function canonicalQuery(query: QueryPairs): string {
  return [...query]
    .sort((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]))
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join("&");
}

function bodyHash(body: string | Buffer): string {
  return body.length === 0 ? EMPTY_BODY_HASH : hash("sha256", body);
}

function encode(text: string): string {
  if (UNRESERVED.test(text)) return text;
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function reencode(segment: string): string {
  if (UNRESERVED.test(segment)) return segment;
  try {
    return encode(decodeURIComponent(segment));
  } catch {
    return encode(segment);
  }
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
