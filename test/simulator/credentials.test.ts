import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_PROJECT_ID, DEMO_KEY, type Simulator, startSimulator } from "../../src/simulator/server.ts";
import { get, type SignedCall, signedHeaders, tasksUrl } from "./client.ts";

const START = Date.UTC(2026, 10, 24, 10, 0, 0);
const WRONG = { ...DEMO_KEY, secret_key: "another" };

let simulator: Simulator;
let instance: string;
beforeEach(async () => {
  simulator = await startSimulator({
    clock: () => START,
    projects: [{ keys: [DEMO_KEY], users: [{ name: "watch", password: "pw", domain: "acme" }] }],
  });
  instance = simulator.control.addInstance({ name: "orders" });
});
afterEach(() => simulator.close());

async function call(options: SignedCall = {}, query = ""): Promise<{ status: number; body: string }> {
  const at = simulator.control.now();
  const response = await get(`${tasksUrl(simulator.url, instance)}${query}`, { at, ...options });
  return { status: response.status, body: await response.text() };
}

test("a right signature is accepted, with whatever has to be escaped in the query", async () => {
  expect((await call({}, "?limit=5&x=a%20b%27%2B~%E4%B8%80&x=&k%5B%5D=1")).status).toBe(200);
});

test("a wrong signature is refused and the canonical request is echoed", async () => {
  const { status, body } = await call({ key: WRONG }, "?limit=5");
  expect(status).toBe(401);
  expect(JSON.parse(body)).toMatchObject({
    error_code: "APIGW.0301",
    request_id: expect.stringMatching(/^[0-9a-f]{32}$/),
    error_msg: expect.stringContaining(
      `verify signature fail, canonicalRequest:GET|/v2/${DEFAULT_PROJECT_ID}/instances/${instance}/tasks/|limit=5|host:`,
    ),
  });
});

test("a signature does not fit another query or another header", async () => {
  const url = tasksUrl(simulator.url, instance);
  const headers = signedHeaders(`${url}?limit=5`, { at: START });
  expect((await fetch(`${url}?limit=6`, { headers })).status).toBe(401);
  const shifted = { ...headers, "x-sdk-date": "20261124T100001Z" };
  expect((await fetch(`${url}?limit=5`, { headers: shifted })).status).toBe(401);
  expect((await fetch(`${url}?limit=5`, { headers })).status).toBe(200);
});

test("a content type is accepted signed, unsigned and left out, and what was signed cannot be changed", async () => {
  const type = { "content-type": "application/json" };
  expect((await call({ signed: type })).status).toBe(200);
  expect((await call({ headers: type })).status).toBe(200);
  expect((await call()).status).toBe(200);
  expect((await call({ signed: type, headers: { "content-type": "text/plain" } })).status).toBe(401);
});

test("a date more than 15 minutes off is refused, either way", async () => {
  expect((await call({ at: START - 15 * 60_000 })).status).toBe(200);
  expect((await call({ at: START - 15 * 60_000 - 1000 })).body).toContain("signature expired");
  expect((await call({ at: START + 15 * 60_000 + 1000 })).body).toContain("signature expired");
});

test("without credentials, and with ones of another form, the answer is 401", async () => {
  expect((await fetch(tasksUrl(simulator.url, instance))).status).toBe(401);
  expect((await call({ headers: { authorization: "Basic abc" } })).status).toBe(401);
  expect((await call({ key: { access_key: "NOBODY", secret_key: "x" } })).body).toContain(
    "ak:NOBODY,err:ak not exist",
  );
});

describe("a key is locked", () => {
  test("after the sixth failure in a row, for five minutes by the simulator's clock", async () => {
    for (let n = 0; n < 5; n++) await call({ key: WRONG });
    expect((await call()).status, "five failures do not lock").toBe(200);
    for (let n = 0; n < 6; n++) await call({ key: WRONG });
    expect((await call()).body).toContain("AK access failed to reach the limit,forbidden");
    expect(simulator.control.keys()).toMatchObject([{ locked_until: START + 300_000 }]);
    simulator.control.advance("4m59s");
    expect((await call()).status).toBe(401);
    simulator.control.advance("1s");
    expect((await call()).status).toBe(200);
  });

  test("a revoked key too", async () => {
    simulator.control.revokeKey(DEMO_KEY.access_key);
    for (let n = 0; n < 6; n++) expect((await call()).body).toContain("ak not exist");
    expect((await call()).body).toContain("reach the limit");
    expect(simulator.control.requests({ key: DEMO_KEY.access_key, status: 401 })).toHaveLength(7);
  });
});

test("temporary keys need their security token, and end", async () => {
  const key = { access_key: "TEMP", secret_key: "s", security_token: "tok" };
  simulator.control.addKey({ ...key, expires_at: START + 60_000 });
  expect((await call({ key })).status).toBe(200);
  expect((await call({ key: { access_key: "TEMP", secret_key: "s" } })).status).toBe(401);
  simulator.control.advance("1m");
  expect((await call({ key })).body).toContain("expired");
});

test("a key acts in its own projects only, and a scope must be the path's", async () => {
  const other = simulator.control.addProject({ name: "eu-west-101_b", instances: [{ id: "i" }] });
  const foreign = await get(tasksUrl(simulator.url, "i", other), { at: START });
  expect([foreign.status, await foreign.json()]).toMatchObject([403, { error_code: "APIGW.0302" }]);
  expect((await call({ headers: { "x-project-id": other } })).body).toContain("DMS.10240104");
});

test("the code prefix can be the other one", async () => {
  await using apig = await startSimulator({ code_prefix: "APIG" });
  expect(await (await fetch(tasksUrl(apig.url, "x"))).json()).toMatchObject({ error_code: "APIG.0301" });
});

test("a simulator without checks lets everybody in", async () => {
  await using open = await startSimulator({ check_signatures: false });
  open.control.addInstance({ id: "i" });
  expect((await fetch(tasksUrl(open.url, "i"))).status).toBe(200);
});

describe("tokens", () => {
  const login = (password: string): Promise<Response> =>
    fetch(`${simulator.url}/v3/auth/tokens?nocatalog=true`, {
      method: "POST",
      body: JSON.stringify({
        auth: {
          identity: {
            methods: ["password"],
            password: { user: { name: "watch", password, domain: { name: "acme" } } },
          },
          scope: { project: { name: "eu-west-101" } },
        },
      }),
    });

  test("are issued for a password, accepted, and end", async () => {
    const response = await login("pw");
    expect(response.status).toBe(201);
    expect(await response.json()).toMatchObject({ token: { expires_at: "2026-11-25T10:00:00.000000Z" } });
    const token = response.headers.get("x-subject-token") ?? "";
    const send = (): Promise<Response> =>
      fetch(tasksUrl(simulator.url, instance), { headers: { "x-auth-token": token } });
    expect((await send()).status).toBe(200);
    simulator.control.advance("1d");
    const over = await send();
    expect([over.status, await over.json()]).toMatchObject([401, { error_code: "APIGW.0307" }]);
  });

  test("are not issued for a wrong password", async () => {
    const response = await login("guess");
    expect([response.status, await response.json()]).toMatchObject([401, { error: { code: 401 } }]);
  });
});

describe("the metadata service", () => {
  const credential = async (headers: Record<string, string> = {}): Promise<Record<string, string>> => {
    const response = await fetch(`${simulator.url}/openstack/latest/securitykey`, { headers });
    return ((await response.json()) as { credential: Record<string, string> }).credential;
  };
  const keyOf = ({ access = "", secret = "", securitytoken = "" }: Record<string, string>) => ({
    access_key: access,
    secret_key: secret,
    security_token: securitytoken,
  });

  test("gives new keys ten minutes before the old ones end, both valid in between", async () => {
    const first = await credential();
    expect(first.expires_at).toBe("2026-11-24T11:00:00.000000Z");
    simulator.control.advance("49m");
    expect(await credential()).toEqual(first);
    simulator.control.advance("1m");
    const second = await credential();
    expect(second.access).not.toBe(first.access);
    for (const key of [first, second]) expect((await call({ key: keyOf(key) })).status).toBe(200);
    simulator.control.advance("10m");
    expect((await call({ key: keyOf(first) })).status).toBe(401);
    expect((await call({ key: keyOf(second) })).status).toBe(200);
  });

  test("gives a token, and asks for it where it is told to", async () => {
    await using strict = await startSimulator({ metadata: { require_token: true } });
    const url = `${strict.url}/openstack/latest/securitykey`;
    expect((await fetch(url)).status).toBe(401);
    const put = await fetch(`${strict.url}/meta-data/latest/api/token`, {
      method: "PUT",
      headers: { "x-metadata-token-ttl-seconds": "21600" },
    });
    const headers = { "x-metadata-token": await put.text() };
    expect((await fetch(url, { headers })).status).toBe(200);
  });

  test("may have no token step, and no agency", async () => {
    await using bare = await startSimulator({ metadata: { token_step: 405, agency: false } });
    const put = await fetch(`${bare.url}/meta-data/latest/api/token`, { method: "PUT" });
    expect(put.status).toBe(405);
    const key = await fetch(`${bare.url}/openstack/latest/securitykey`);
    expect(await key.text()).toContain("Please configure Cloud Service Agency first");
  });
});

test("projects are found by name, those of the caller alone", async () => {
  simulator.control.addProject({ name: "eu-west-101" });
  const response = await get(`${simulator.url}/v3/projects?name=eu-west-101`, { at: START });
  expect(await response.json()).toMatchObject({
    projects: [{ id: DEFAULT_PROJECT_ID, name: "eu-west-101" }],
  });
});

test("a path that is not served answers as the gateway does", async () => {
  const response = await get(`${simulator.url}/v2/p/clusters`, { at: START });
  expect([response.status, await response.json()]).toMatchObject([404, { error_code: "APIGW.0101" }]);
});

test("the Date header follows the clock and can be off", async () => {
  simulator.control.advance("1h");
  simulator.control.setDateSkew(-5000);
  const response = await get(tasksUrl(simulator.url, instance), { at: simulator.control.now() });
  expect(response.headers.get("date")).toBe("Tue, 24 Nov 2026 10:59:55 GMT");
  expect(response.headers.get("x-request-id")).toMatch(/^[0-9a-f]{32}$/);
});
