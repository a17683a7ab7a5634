import { describe, expect, test } from "vitest";
import { Secret } from "../../src/config/secret.ts";
import type { Refusal } from "../../src/http/server.ts";
import { httpServer } from "../support/http-server.ts";

const AUTH = { kind: "basic", user: "ana", password: new Secret("pass") } as const;
/** As a browser adds the credentials that it has stored for the server's address. */
const STORED = { authorization: `Basic ${Buffer.from("ana:pass").toString("base64")}` };
const HOST = "tw.example.org:10464";

async function scene(external_url = "") {
  let acknowledged = 0;
  const refused: Refusal[] = [];
  const { app } = await httpServer(
    { auth: AUTH, external_url },
    {
      routes: [
        (scope) => {
          scope.post("/api/v1/tasks/:id/ack", () => ({ acknowledged: ++acknowledged }));
          scope.get("/api/v1/status", () => ({}));
        },
      ],
      onRefused: (refusal) => refused.push(refusal),
    },
  );
  const send = async (headers: Record<string, string>, method: "POST" | "GET" = "POST") => {
    const url = method === "POST" ? "/api/v1/tasks/t/ack" : "/api/v1/status";
    const answer = await app.inject({ method, url, headers: { host: HOST, ...STORED, ...headers } });
    return answer.statusCode;
  };
  return { send, refused, acknowledged: () => acknowledged };
}

describe("over plain HTTP, where browsers send no Sec-Fetch-Site, stored credentials acknowledge nothing", () => {
  test.each<[string, Record<string, string>]>([
    ["from another host of the same site", { origin: "http://grafana.example.org" }],
    ["from another port of the same host", { origin: "http://tw.example.org:3000" }],
    ["from the default port of the same host", { origin: "http://tw.example.org" }],
    ["from another site", { origin: "http://evil.example" }],
    ["from a page without an origin, such as a sandboxed frame", { origin: "null" }],
    ["from an origin that is no URL", { origin: "tw.example.org:10464" }],
    ["from an origin of another kind", { origin: `chrome-extension://${HOST}` }],
    [
      "from a form without Origin but with the address of another page",
      { referer: "http://grafana.example.org/d/1" },
    ],
    ["from a form whose address cannot be read", { referer: "about:blank" }],
    ["from another site that a newer browser names", { "sec-fetch-site": "cross-site" }],
    [
      "from another host that a newer browser names",
      { "sec-fetch-site": "same-site", origin: `https://${HOST}` },
    ],
    [
      "from another origin, although the browser calls it the same",
      { "sec-fetch-site": "same-origin", origin: "http://evil.example" },
    ],
  ])("%s", async (_where, headers) => {
    const { send, acknowledged, refused } = await scene();
    expect(await send(headers)).toBe(403);
    expect(acknowledged()).toBe(0);
    expect(refused).toEqual([{ reason: "other_origin", client: "127.0.0.1" }]);
  });
});

test.each<[string, Record<string, string>]>([
  ["the page itself", { origin: `http://${HOST}` }],
  [
    "the page itself, in other letters",
    { origin: "http://tw.example.org:10464", host: "TW.Example.org:10464" },
  ],
  ["the page behind a proxy that ends TLS", { origin: "https://tw.example.org", host: "tw.example.org" }],
  [
    "the page at the default port, which the proxy names",
    { origin: "https://tw.example.org", host: "tw.example.org:443" },
  ],
  ["the page in a newer browser", { origin: `https://${HOST}`, "sec-fetch-site": "same-origin" }],
  ["a form of the page without Origin", { referer: `http://${HOST}/tasks/t` }],
  ["curl, which sends neither", {}],
  ["curl at an IPv6 address", { host: "[::1]:10464" }],
  ["the page at an IPv6 address", { origin: "http://[::1]:10464", host: "[::1]:10464" }],
])("acknowledging works for %s", async (_who, headers) => {
  const { send, acknowledged, refused } = await scene();
  expect(await send(headers)).toBe(200);
  expect(acknowledged()).toBe(1);
  expect(refused).toEqual([]);
});

test("a page at server.external_url may acknowledge through a proxy that replaces the Host header", async () => {
  const { send } = await scene("https://tw.example.org/taskwatch");
  expect(await send({ origin: "https://tw.example.org", host: "10.0.0.7:10464" })).toBe(200);
  expect(await send({ origin: "https://tw.example.org:8443", host: "10.0.0.7:10464" })).toBe(403);
  expect(await send({ origin: "http://tw.example.org", host: "10.0.0.7:10464" })).toBe(403);
});

test("a request that only reads is answered wherever it comes from, as a browser lets no other page see it", async () => {
  const { send } = await scene();
  expect(await send({ origin: "http://evil.example" }, "GET")).toBe(200);
  expect(await send({ referer: "http://evil.example/links" }, "GET")).toBe(200);
});
