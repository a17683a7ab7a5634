import { createHash, createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { keyPairAuth } from "../../src/cloud/auth.ts";
import { canonicalQuery } from "../../src/cloud/canonical.ts";
import { Signer } from "../../src/cloud/sign.ts";
import { type RequestTarget, target } from "../../src/cloud/target.ts";

interface Vector {
  readonly name: string;
  readonly ak: string;
  readonly sk: string;
  readonly endpoint: string;
  readonly queryParams: Readonly<Record<string, string | number | readonly string[]>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly expected: { readonly canonicalQueryString: string; readonly authorization: string };
}

interface GoVector extends Omit<Vector, "expected"> {
  readonly signedHeadersOnly: readonly string[];
  readonly expected: { readonly authorization: string };
}

const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, "../fixtures/sign-vectors.json"), "utf8"),
) as { readonly vectors: readonly Vector[]; readonly goSdkVectors: readonly GoVector[] };

function pairs(query: Vector["queryParams"]): [string, string][] {
  return Object.entries(query).flatMap(([name, value]) =>
    (Array.isArray(value) ? (value as readonly string[]) : [String(value)]).map((one): [string, string] => [
      name,
      one,
    ]),
  );
}

function splitDate(headers: Vector["headers"]): { extra: Record<string, string>; now: number } {
  const extra = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const date = extra["x-sdk-date"] ?? "";
  delete extra["x-sdk-date"];
  const iso = date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z");
  return { extra, now: Date.parse(iso) };
}

function targetOf(url: string): RequestTarget {
  const { origin, host, pathname } = new URL(url);
  return { origin, host, path: pathname, headers: {} };
}

/** The algorithm written down a second time, straight from its description and without any of the client's code. */
function independently(
  keys: { readonly ak: string; readonly sk: string },
  url: string,
  headers: Readonly<Record<string, string>>,
): string {
  const { pathname, searchParams } = new URL(url);
  const percent = (text: string): string =>
    [...Buffer.from(text, "utf8")]
      .map((byte) => {
        const char = String.fromCharCode(byte);
        return /[A-Za-z0-9\-_.~]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
      })
      .join("");
  const query = [...searchParams]
    .map(([name, value]) => [percent(name), percent(value)] as const)
    .sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
  const names = Object.keys(headers).sort();
  const sha = (text: string): string => createHash("sha256").update(text).digest("hex");
  const canonical = [
    "GET",
    pathname.replace(/\/?$/, "/"),
    query,
    ...names.map((name) => `${name}:${headers[name]}`),
    "",
    names.join(";"),
    sha(""),
  ].join("\n");
  const text = ["SDK-HMAC-SHA256", headers["x-sdk-date"], sha(canonical)].join("\n");
  const signature = createHmac("sha256", keys.sk).update(text).digest("hex");
  return `SDK-HMAC-SHA256 Access=${keys.ak}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
}

test.each(vectors.vectors)("the official signer's vector $name is reproduced", (vector) => {
  const query = canonicalQuery(pairs(vector.queryParams));
  expect(query).toBe(vector.expected.canonicalQueryString);
  const { extra, now } = splitDate(vector.headers);
  const signer = new Signer(vector.ak, vector.sk, extra);
  const at = targetOf(vector.endpoint);
  const headers = signer.headers(at, query, now);
  expect(headers.authorization).toBe(vector.expected.authorization);
  expect(signer.headers(at, query, now).authorization, "again, from what was prepared").toBe(
    vector.expected.authorization,
  );
});

test.each(vectors.vectors)("an independent computation agrees with the vector $name", (vector) => {
  const url = `${vector.endpoint}?${canonicalQuery(pairs(vector.queryParams))}`;
  const { extra } = splitDate(vector.headers);
  const date = vector.headers["X-Sdk-Date"] ?? "";
  const headers = { ...extra, host: new URL(url).host, "x-sdk-date": date };
  expect(independently(vector, url, headers)).toBe(vector.expected.authorization);
});

test.each(vectors.goSdkVectors)(
  "the Go signer's vector, which signs the date alone, is reproduced by the same rules",
  (vector) => {
    const url = `${vector.endpoint}?${canonicalQuery(pairs(vector.queryParams))}`;
    expect(independently(vector, url, { "x-sdk-date": vector.headers["X-Sdk-Date"] ?? "" })).toBe(
      vector.expected.authorization,
    );
  },
);

test("a call for the tasks of an instance is signed as the official SDK signs it, content type and all", () => {
  const vector = vectors.vectors.find(({ name }) => name === "kafka-list-tasks-start-1-permanent-aksk");
  if (!vector) throw new Error("the vector is not there");
  const { origin, pathname } = new URL(vector.endpoint);
  const segments = pathname.slice(1).split("/");
  const auth = keyPairAuth({ accessKey: vector.ak, secretKey: vector.sk, securityToken: null });
  const { now } = splitDate(vector.headers);
  const { authorization } = auth.headers(
    target(origin, segments, segments[1] ?? ""),
    canonicalQuery(pairs(vector.queryParams)),
    now,
  );
  expect(authorization).toBe(vector.expected.authorization);
});

test("temporary keys sign their security token and the project id", () => {
  const auth = keyPairAuth({
    accessKey: "AKEXAMPLE00000000002",
    secretKey: "SKexample+/Secret0000000000000000000000002",
    securityToken: "token/with+signs==",
  });
  const at = target(
    "https://dms.eu-west-101.myhuaweicloud.eu",
    ["v2", "p1", "instances", "i1", "tasks"],
    "p1",
  );
  const query = canonicalQuery([
    ["offset", "0"],
    ["limit", "100"],
  ]);
  const now = Date.parse("2026-11-24T10:00:00.999Z");
  const { authorization, ...sent } = auth.headers(at, query, now);
  expect(sent).toEqual({
    "content-type": "application/json",
    host: "dms.eu-west-101.myhuaweicloud.eu",
    "x-project-id": "p1",
    "x-sdk-date": "20261124T100000Z",
    "x-security-token": "token/with+signs==",
  });
  expect(authorization).toBe(
    independently(
      { ak: "AKEXAMPLE00000000002", sk: "SKexample+/Secret0000000000000000000000002" },
      `${at.origin}${at.path}?${query}`,
      sent,
    ),
  );
  expect(authorization).toContain("SignedHeaders=content-type;host;x-project-id;x-sdk-date;x-security-token");
});

test("a new second and a new target give new signatures", () => {
  const signer = new Signer("ak", "sk");
  const one = target("https://a.example", ["v2", "x"], null);
  const two = target("https://a.example", ["v2", "y"], null);
  const at = (where: RequestTarget, now: number): string | undefined =>
    signer.headers(where, "", now).authorization;
  expect(new Set([at(one, 0), at(one, 1000), at(two, 0)]).size).toBe(3);
  expect(at(one, 0)).toBe(at(one, 999));
});

test("path segments are encoded, and a path in the endpoint is kept", () => {
  const at = target("http://127.0.0.1:8080/base/", ["v2", "a b/c", "ü"], null);
  expect(at).toEqual({
    origin: "http://127.0.0.1:8080",
    host: "127.0.0.1:8080",
    path: "/base/v2/a%20b%2Fc/%C3%BC",
    headers: { "content-type": "application/json" },
  });
});
