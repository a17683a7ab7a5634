import { afterEach, expect, test, vi } from "vitest";
import { Secret } from "../../src/config/secret.ts";
import type { Refusal } from "../../src/http/server.ts";
import { HTTP_SETTINGS, httpServer } from "../support/http-server.ts";

const AUTH = { kind: "bearer", token: new Secret("s3cret-token") } as const;
const RIGHT = "Bearer s3cret-token";
const WRONG = "Bearer guess";
/** Failed logins of an address that are answered 401 within a minute. */
const ALLOWED = 10;

afterEach(() => void vi.useRealTimers());

async function scene() {
  const refused: Refusal[] = [];
  const server = await httpServer({ auth: AUTH }, { onRefused: (refusal) => refused.push(refusal) });
  const get = async (remoteAddress: string, authorization?: string, url = "/metrics") => {
    const headers = authorization === undefined ? {} : { authorization };
    return await server.app.inject({ url, remoteAddress, headers });
  };
  const status = async (...args: Parameters<typeof get>) => (await get(...args)).statusCode;
  const guess = async (remoteAddress: string, times: number) => {
    const seen: number[] = [];
    for (let time = 0; time < times; time++) seen.push(await status(remoteAddress, `${WRONG}-${time}`));
    return seen;
  };
  return { server, get, status, guess, refused };
}

test("an address whose logins fail is answered 429 with Retry-After, and its next guess is not looked at, even a right one", async () => {
  const { get, guess } = await scene();
  expect(await guess("10.0.0.66", ALLOWED + 1)).toEqual([...Array(ALLOWED).fill(401), 429]);
  const limited = await get("10.0.0.66", RIGHT);
  expect(limited.statusCode).toBe(429);
  expect(Number(limited.headers["retry-after"])).toBeGreaterThan(0);
  expect(Number(limited.headers["retry-after"])).toBeLessThanOrEqual(60);
  expect(limited.json()).toEqual({
    error: expect.stringMatching(/^too many failed logins from 10\.0\.0\.66: try again in \d+ s$/),
  });
  expect(limited.headers["www-authenticate"]).toBeUndefined();
});

test("Prometheus with the right credentials is never limited, not even when others at its address guess", async () => {
  const { status, guess } = await scene();
  expect(await status("10.0.0.5", RIGHT)).toBe(200);
  expect((await guess("10.0.0.5", 50)).at(-1)).toBe(429);
  for (let scrape = 0; scrape < 50; scrape++) expect(await status("10.0.0.5", RIGHT)).toBe(200);
});

test("other addresses are not affected, whatever comes from one", async () => {
  const { status, guess } = await scene();
  await guess("10.0.0.66", 50);
  expect(await status("10.0.0.7", RIGHT)).toBe(200);
  expect(await status("10.0.0.8", WRONG)).toBe(401);
});

test("the addresses of one IPv6 network count as one, and an IPv4 address counts the same in either form", async () => {
  const { status, guess } = await scene();
  await guess("2001:db8::1", ALLOWED + 1);
  expect(await status("2001:db8::2", WRONG)).toBe(429);
  expect(await status("2001:db8:0:1::1", WRONG)).toBe(401);
  await guess("10.0.0.66", ALLOWED + 1);
  expect(await status("::ffff:10.0.0.66", WRONG)).toBe(429);
});

test("a request without credentials is no login: it is answered 401 however often it comes, and limits nobody", async () => {
  const { status, refused } = await scene();
  for (let time = 0; time < 30; time++) expect(await status("10.0.0.9")).toBe(401);
  expect(await status("10.0.0.9", RIGHT)).toBe(200);
  expect(refused).toEqual([]);
});

test("a limited address may log in again after a minute", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const { status, guess } = await scene();
  await guess("10.0.0.66", 20);
  vi.setSystemTime(Date.now() + 59_000);
  expect(await status("10.0.0.66", RIGHT)).toBe(429);
  vi.setSystemTime(Date.now() + 1_000);
  expect(await status("10.0.0.66", RIGHT)).toBe(200);
});

test("health, readiness and an open /metrics answer a limited address", async () => {
  const { server, status, guess } = await scene();
  server.update({ ...HTTP_SETTINGS, auth: AUTH, metrics_auth: false });
  for (const _ of Array(20)) await status("10.0.0.66", WRONG, "/");
  expect(await status("10.0.0.66", WRONG, "/")).toBe(429);
  for (const url of ["/metrics", "/healthz", "/readyz"])
    expect(await status("10.0.0.66", WRONG, url)).toBe(200);
  expect(await guess("10.0.0.66", 1)).toEqual([200]);
});

test("every refused login is told with its reason and the address", async () => {
  const { guess, refused } = await scene();
  await guess("10.0.0.66", ALLOWED + 2);
  const told = (reason: Refusal["reason"]): Refusal => ({ reason, client: "10.0.0.66" });
  expect(refused).toEqual([
    ...Array(ALLOWED).fill(told("wrong_credentials")),
    told("too_many_failures"),
    told("too_many_failures"),
  ]);
});
