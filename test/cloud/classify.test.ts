import { expect, test } from "vitest";
import {
  asksForNewToken,
  classify,
  refusesCredentials,
  refusesPageSize,
  speaksOfTask,
} from "../../src/cloud/classify.ts";
import type { HttpAnswer } from "../../src/cloud/http.ts";
import type { Cause } from "../../src/core/cause.ts";

const NOW = Date.parse("2026-11-24T10:00:00Z");

function answer(status: number, body: unknown, headers: Record<string, string> = {}): HttpAnswer {
  return {
    status,
    body: typeof body === "string" ? body : JSON.stringify(body),
    header: (name) => headers[name] ?? null,
  };
}

const scene = { where: "dms.example", now: NOW, secrets: ["AKSECRETKEY", "sk+very/secret"], signed: true };
const of = (status: number, body: unknown, headers?: Record<string, string>) =>
  classify(answer(status, body, headers), scene);
const dms = (code: string, message = "words") => ({ error_code: code, error_msg: message });

const TABLE: readonly (readonly [status: number, body: unknown, cause: Cause])[] = [
  [401, dms("APIGW.0301"), "credentials_rejected"],
  [401, dms("APIG.0301"), "credentials_rejected"],
  [401, dms("APIGW.0305"), "credentials_rejected"],
  [401, dms("APIGW.0307"), "credentials_rejected"],
  [401, dms("DMS.10240101"), "credentials_rejected"],
  [401, dms("DMS.10240104"), "credentials_rejected"],
  [401, "", "credentials_rejected"],
  [403, dms("APIGW.0302"), "credentials_rejected"],
  [403, dms("APIG.0306"), "credentials_rejected"],
  [403, dms("APIGW.0310"), "credentials_rejected"],
  [403, dms("APIG.0802"), "credentials_rejected"],
  [403, dms("APIGW.0303"), "permission_denied"],
  [403, dms("DMS.00403002"), "permission_denied"],
  [403, dms("DMS.10240306"), "permission_denied"],
  [403, "<html>forbidden</html>", "permission_denied"],
  [404, dms("APIGW.0101"), "bad_response"],
  [404, dms("APIG.0101"), "bad_response"],
  [404, dms("DMS.00404022"), "not_found"],
  [404, dms("00404022"), "not_found"],
  [404, dms("DMS.00404001"), "bad_response"],
  [404, dms("DMS.10240407", "The request is too frequent."), "throttled"],
  [404, "not here", "bad_response"],
  [400, dms("DMS.00400973"), "throttled"],
  [400, dms("DMS.00400030"), "bad_response"],
  [429, dms("APIGW.0308"), "throttled"],
  [429, "", "throttled"],
  [503, dms("APIG.0308"), "throttled"],
  [407, "", "endpoint_unreachable"],
  [408, "", "timeout"],
  [405, "", "bad_response"],
  [414, "", "bad_response"],
  [494, "", "bad_response"],
  [302, "", "bad_response"],
  [500, dms("DMS.00500000"), "server_error"],
  [502, dms("APIG.0201"), "server_error"],
  [503, dms("APIG.0613"), "server_error"],
  [503, "<html><body>503</body></html>", "server_error"],
  [504, "", "server_error"],
];

test.each(TABLE)("%i %j is %s", (status, body, cause) => {
  const error = of(status, body);
  expect(error.reason).toBe(cause);
  expect(error.status).toBe(status);
});

const SHAPES: readonly (readonly [shape: string, body: unknown, code: string | null, message: string])[] = [
  ["1, the service", { error_code: "DMS.1", error_msg: "m1" }, "DMS.1", "m1"],
  ["2, the gateway", { error_msg: "m2", error_code: "APIGW.0301", request_id: "r2" }, "APIGW.0301", "m2"],
  ["3, IAM with a number", { error: { message: "m3", code: 400, title: "Bad Request" } }, "400", "m3"],
  ["4, nested", { error: { code: "111404022", message: "m4" } }, "111404022", "m4"],
  ["5, digits alone", { error_code: "111400063", error_msg: "m5", error_ext_msg: null }, "111400063", "m5"],
  [
    "6, new IAM",
    { error_code: "PAP.1", error_msg: "m6", encoded_authorization_message: "AAAA" },
    "PAP.1",
    "m6",
  ],
  ["6, inside error", { error: { error_code: "PAP.1", error_msg: "m6" } }, "PAP.1", "m6"],
  ["7, bare", { code: "X.1", message: "m7" }, "X.1", "m7"],
  ["7, one deeper", { result: { error_code: "X.1", error_msg: "m7" }, request_id: "r" }, "X.1", "m7"],
  ["7, in details", { details: [{ code: "X.1", message: "m7" }] }, "X.1", "m7"],
  ["8, camel case", { errorCode: "CCE.1", errorMessage: "m8" }, "CCE.1", "m8"],
  ["9, a text", "upstream connect error", null, "upstream connect error"],
];

test.each(SHAPES)("error shape %s gives its code and message", (_, body, code, message) => {
  const error = of(500, body);
  expect(error.code).toBe(code);
  expect(error.message).toContain(message);
});

test("a page for browsers gives no message", () => {
  expect(of(502, "<html><title>nginx</title></html>").message).toBe("dms.example answered 502");
});

test("a 401 while the clocks differ by more than the gateway allows is the clock's fault, and still a refusal", () => {
  const date = (minutes: number) => ({ date: new Date(NOW + minutes * 60_000).toUTCString() });
  for (const minutes of [16, -16]) {
    const error = of(401, dms("APIGW.0301"), date(minutes));
    expect(error.reason).toBe("clock_skew");
    expect(error.message).toContain(minutes > 0 ? "16 min behind" : "16 min ahead");
    expect(refusesCredentials(error)).toBe(true);
  }
  expect(of(401, dms("APIGW.0301"), date(14)).reason).toBe("credentials_rejected");
  const unsigned = classify(answer(401, "", date(60)), { ...scene, signed: false });
  expect(unsigned.reason, "a token does not depend on the clock").toBe("credentials_rejected");
});

test("refused credentials, stale tokens, page sizes and missing tasks are told apart", () => {
  expect(refusesCredentials(of(401, ""))).toBe(true);
  expect(refusesCredentials(of(403, dms("DMS.00403002")))).toBe(false);
  expect(asksForNewToken(of(401, dms("APIG.0307")))).toBe(true);
  expect(asksForNewToken(of(401, dms("APIGW.0301")))).toBe(false);
  expect(asksForNewToken(of(403, dms("APIGW.0307")))).toBe(false);
  expect(refusesPageSize(of(400, dms("DMS.10240042")))).toBe(true);
  expect(refusesPageSize(of(400, dms("DMS.00400062", "Invalid limit parameter in the request.")))).toBe(true);
  expect(refusesPageSize(of(400, dms("DMS.00400142", "Timestamp is invalid.")))).toBe(false);
  expect(speaksOfTask(of(404, dms("DMS.00404001")))).toBe(true);
  for (const code of ["DMS.00404022", "DMS.10240407", "DMS.10240406", "APIGW.0101"]) {
    expect(speaksOfTask(of(404, dms(code))), code).toBe(false);
  }
  expect(speaksOfTask(of(404, "gone"))).toBe(false);
  expect(speaksOfTask(of(400, dms("DMS.00400070")))).toBe(false);
});

test("request id and Retry-After are kept, from wherever they come", () => {
  expect(of(500, dms("X"), { "x-request-id": "abc-1" }).requestId).toBe("abc-1");
  expect(of(500, { ...dms("X"), request_id: "def-2" }).requestId).toBe("def-2");
  expect(of(500, dms("X"), { "x-request-id": "a b\n<script>" }).requestId).toBeNull();
  expect(of(429, "", { "retry-after": "7" }).retryAfter).toBe(7000);
  expect(of(429, "").retryAfter).toBeNull();
});

const ECHOES: readonly (readonly [name: string, message: string, gone: readonly string[]])[] = [
  [
    "an echoed canonical request",
    "verify aksk signature fail, canonicalRequest:GET|/v2/p/|limit=1|host:h|x-security-token:TOKENTOKEN||host|e3b0",
    ["TOKENTOKEN", "limit=1"],
  ],
  ["an echoed access key", "Get secretKey failed,ak:AKIDOFSOMEONE,err:ak not exist", ["AKIDOFSOMEONE"]],
  ["the configured access key", "no such key AKSECRETKEY here", ["AKSECRETKEY"]],
  ["the configured secret key", "sk+very/secret", ["sk+very/secret"]],
  [
    "an Authorization header",
    "bad header Authorization: SDK-HMAC-SHA256 Access=AKX, SignedHeaders=host, Signature=abcdef",
    ["AKX", "abcdef"],
  ],
  ["a token header", "X-Auth-Token: MIIabc, rejected", ["MIIabc"]],
  ["a token in a sentence", `token ${"MIIE".repeat(20)} is expired`, ["MIIEMIIE"]],
  ["an access key in a sentence", "key QTWAOYTTINDUT2QVKYUC is locked", ["QTWAOYTTINDUT2QVKYUC"]],
];

test.each(ECHOES)("%s is taken out of messages", (_, message, gone) => {
  for (const body of [dms("APIGW.0301", message), message, { error: { code: 401, message } }]) {
    const text = of(401, body).message;
    for (const secret of gone) expect(text).not.toContain(secret);
  }
});

test("messages are one line of bounded length, and a hostile body costs nothing", () => {
  const error = of(400, dms("X.1", `a\nb\u0000c\u001b[31m${"x ".repeat(1_000_000)}`));
  expect(error.message).toMatch(/a b c \[31m/);
  expect(error.message.length).toBeLessThan(400);
  const deep = `${'{"a":'.repeat(5000)}1${"}".repeat(5000)}`;
  expect(of(400, deep).code).toBeNull();
  expect(of(400, dms("C".repeat(10_000))).code?.length).toBeLessThanOrEqual(64);
});
