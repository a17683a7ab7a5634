import { expect, test } from "vitest";
import { Secret } from "../../src/config/secret.ts";
import { CloudError, StoreError, UsageError } from "../../src/errors.ts";
import { createLog } from "../../src/observe/logger.ts";

function capture(level: "info" | "debug" = "info") {
  const lines: string[] = [];
  const log = createLog(level, { write: (line) => void lines.push(line) });
  return { log, raw: lines, lines: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

test("a line is JSON with level, ISO time and the component that speaks", () => {
  const { log, lines } = capture();
  log.component("poll").info({ project: "prod" }, "polled");
  expect(lines()).toEqual([
    {
      level: "info",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      component: "poll",
      project: "prod",
      msg: "polled",
    },
  ]);
});

test("a reload changes the level of loggers that were handed out before", () => {
  const { log, lines } = capture();
  const poll = log.component("poll");
  poll.debug("hidden");
  log.setLevel("debug");
  poll.debug("shown");
  log.component("store").debug("shown too");
  log.setLevel("error");
  poll.info("hidden again");
  expect(lines().map((line) => line.msg)).toEqual(["shown", "shown too"]);
});

test.each<[string, Record<string, unknown>]>([
  ["a Secret", { value: new Secret("hush-hush") }],
  ["a Secret in a list", { values: [new Secret("hush-hush")] }],
  ["a header", { headers: { "X-Auth-Token": "hush-hush", Authorization: "hush-hush" } }],
  ["a header in lower case, deep", { a: { b: { c: { "x-security-token": ["hush-hush"] } } } }],
  ["deeper than anybody looks", { a: { b: { c: { d: { e: { f: { token: "hush-hush" } } } } } } }],
  ["keys of the configuration", { secret_key: "hush-hush", auth: { password: "hush-hush" } }],
  ["keys in a list", { credentials: [{ secretKey: "hush-hush", securityToken: "hush-hush" }] }],
  ["a webhook's URL", { webhook: { url: "https://hooks.example.org/hush-hush" } }],
  ["URLs in a list", { webhook: { urls: ["https://hooks.example.org/hush-hush", "hush-hush"] } }],
  ["the text of an error", { err: new Error("POST https://hooks.example.org/hush-hush?k=hush-hush failed") }],
  ["a user in a URL", { err: new Error("connect redis://user:hush-hush@127.0.0.1:6379/0 failed") }],
  [
    "the cause of an error",
    { err: new Error("failed", { cause: new Error("GET https://x.example.org/hush-hush") }) },
  ],
  [
    "one of many errors",
    { err: new AggregateError([new Error("wss://x.example.org/hush-hush")], "all failed") },
  ],
])("no secret is shown: %s", (_name, fields) => {
  const { log, raw } = capture();
  log.component("x").info(fields, "line");
  if (fields.err instanceof Error) log.component("x").error(fields.err);
  expect(raw.length).toBeGreaterThanOrEqual(1);
  expect(raw.join("")).not.toContain("hush");
});

test("the address that the program listens on is shown", () => {
  const { log, lines } = capture();
  log.component("app").info({ url: "http://127.0.0.1:10464" }, "listening");
  expect(lines()[0]?.url).toBe("http://127.0.0.1:10464");
});

test("what is logged is not changed", () => {
  const { log } = capture();
  const headers = { "x-auth-token": "hush-hush", accept: "*/*" };
  log.component("x").info({ headers }, "line");
  expect(headers).toEqual({ "x-auth-token": "hush-hush", accept: "*/*" });
});

test("an error of the cloud shows what support asks for, and no stack", () => {
  const { log, lines } = capture();
  const err = new CloudError("throttled", "too many requests", {
    status: 429,
    code: "APIGW.0308",
    requestId: "req-1",
    cause: Object.assign(new Error("socket closed"), { code: "ECONNRESET" }),
  });
  log.component("x").warn({ err }, "poll failed");
  expect(lines()[0]?.err).toEqual({
    type: "CloudError",
    message: "too many requests",
    causes: ["ECONNRESET: socket closed"],
    reason: "throttled",
    status: 429,
    code: "APIGW.0308",
    request_id: "req-1",
  });
});

test("errors that are part of the work have no stack, all others have", () => {
  const { log, lines } = capture();
  for (const err of [
    new StoreError("full", "disk is full"),
    new UsageError("poll.schedule: not a schedule"),
    new TypeError("x is undefined"),
  ]) {
    log.component("x").error({ err }, "failed");
  }
  expect(lines().map((line) => line.err)).toEqual([
    { type: "StoreError", message: "disk is full", code: "full" },
    { type: "UsageError", message: "poll.schedule: not a schedule" },
    { type: "TypeError", message: "x is undefined", stack: expect.stringContaining("logger.test.ts") },
  ]);
});

test("what was thrown without being an error, and an endless text, are lines too", () => {
  const { log, lines } = capture();
  log.component("x").error({ err: "just text" }, "failed");
  log.component("x").error({ err: new UsageError("y".repeat(100_000)) }, "failed");
  const error = new Error("turns in circles");
  error.cause = error;
  log.component("x").error({ err: error }, "failed");
  expect(lines()[0]?.err).toEqual({ type: "string", message: "just text" });
  expect(JSON.stringify(lines()[1]).length).toBeLessThan(3000);
  expect(lines()[2]?.err).toMatchObject({ causes: Array(4).fill("turns in circles") });
});
