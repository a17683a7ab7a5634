import { expect, onTestFinished, test, vi } from "vitest";
import { DEMO_KEY } from "../../src/simulator/server.ts";
import { RunningApp, type RunningAppOptions } from "../support/running-app.ts";
import { projectOf, type RawConfig, watchConfig } from "../support/watch-config.ts";
import {
  all,
  BY_PASSWORD,
  type Cloud,
  cloud,
  HOUR,
  INSTANCES,
  MINUTE,
  OTHER_USER,
  pass,
  polled,
  type Watch,
  watch,
  well,
} from "./credentials-watch.ts";

vi.setConfig({ testTimeout: 90_000 });

const NEW_KEY = { access_key: "ROTATEDACCESSKEY0000", secret_key: "a rotated secret key of the simulator" };
const TEMPORARY = { access_key: "TEMPORARYACCESSKEY00", secret_key: "a temporary secret key" };

const revoke = ({ control }: Watch) => control.revokeKey(DEMO_KEY.access_key);
const outlive = (watched: Watch) => pass(watched, 70 * MINUTE);

interface Form {
  readonly before: RawConfig;
  readonly after: RawConfig;
  readonly options?: RunningAppOptions;
  /** The new ones are let in, beside the old, and stand where the configuration says. */
  readonly renew: () => Promise<unknown> | unknown;
  /** The old ones are over. */
  readonly end: (watched: Watch) => Promise<unknown> | unknown;
}

/** What a person keeps fresh: how each form is given to the daemon, and how it is changed. */
const forms: Readonly<Record<string, (of: Cloud) => Promise<Form> | Form>> = {
  "a key pair": ({ control }) => ({
    before: DEMO_KEY,
    after: NEW_KEY,
    renew: () => control.addKey(NEW_KEY),
    end: revoke,
  }),
  "a key pair with the secret key in a file": async ({ control, folder }) => {
    const secret_key_file = await folder.write("secret", `${DEMO_KEY.secret_key}\n`);
    return {
      before: { access_key: DEMO_KEY.access_key, secret_key_file },
      after: { access_key: NEW_KEY.access_key, secret_key_file },
      renew: () => {
        control.addKey(NEW_KEY);
        return folder.write("secret", `${NEW_KEY.secret_key}\n`);
      },
      end: revoke,
    };
  },
  "temporary keys with a security token": ({ control }) => {
    const before = { ...TEMPORARY, security_token: "for an hour" };
    const after = { ...NEW_KEY, security_token: "for a day" };
    control.addKey({ ...before, expires_at: control.now() + HOUR });
    const renew = () => control.addKey({ ...after, expires_at: control.now() + 24 * HOUR });
    return { before, after, renew, end: outlive };
  },
  "a profile of the SDKs' file": async ({ control, folder }) => {
    const profile = (key: typeof DEMO_KEY) =>
      `[other]\nak = x\nsk = y\n[basic]\nak = ${key.access_key}\nsk = ${key.secret_key}\n`;
    const path = await folder.write("credentials", profile(DEMO_KEY));
    return {
      before: { profile: "basic" },
      after: { profile: "basic" },
      options: { env: { HUAWEICLOUD_SDK_CREDENTIALS_FILE: path } },
      renew: () => {
        control.addKey(NEW_KEY);
        return folder.write("credentials", profile(NEW_KEY));
      },
      end: revoke,
    };
  },
  "a ready token in a file": async ({ control, folder }) => {
    control.addToken("the ready token", control.now() + HOUR);
    const form = { token_file: await folder.write("token", "the ready token\n") };
    return {
      before: form,
      after: form,
      renew: () => {
        control.addToken("the next ready token");
        return folder.write("token", "the next ready token\n");
      },
      end: outlive,
    };
  },
  "a user and a password": ({ control }) => ({
    before: BY_PASSWORD,
    after: { user: OTHER_USER.name, password: OTHER_USER.password, domain: OTHER_USER.domain },
    renew: () => undefined,
    // The tokens of the user before are over, and with them the one that is in use: it is renewed once.
    end: () => control.expireTokens(),
  }),
};

test.each(Object.entries(forms))("%s: polls go on through a reload that changes it", async (_, formOf) => {
  const of = await cloud();
  const { before, after, options, renew, end } = await formOf(of);
  const watched = await watch(of, before, options);
  await polled(watched);
  await renew();
  expect(await watched.reload(after)).toEqual({ ok: true });
  await polled(watched);
  const used = of.control.requests().length;
  await end(watched);
  await polled(watched);
  await polled(watched);
  const late = of.control.requests({ after: used }).filter(({ key }) => key === DEMO_KEY.access_key);
  expect(late).toEqual([]);
  await well(
    watched,
    of.control.requests({ status: 401 }).filter(({ code }) => code === "APIGW.0307").length,
  );
});

test("a user and a password: the token is renewed before its end for days", async () => {
  const watched = await watch(await cloud(), BY_PASSWORD);
  await pass(watched, 49 * HOUR);
  await well(watched);
  const issued = watched.control.requests({ operation: "token" }).map(({ time }) => time);
  const lifetimes = issued.slice(1).map((time, index) => (time - (issued[index] ?? 0)) / HOUR);
  expect(lifetimes).toHaveLength(2);
  for (const lifetime of lifetimes) {
    expect(lifetime).toBeGreaterThan(22);
    expect(lifetime).toBeLessThan(24);
  }
});

test("a user and a password: a token that must be updated is renewed once, and each call repeated", async () => {
  const watched = await watch(await cloud(), BY_PASSWORD);
  const { control } = watched;
  control.clearRequests();
  control.expireTokens();
  await polled(watched);
  await polled(watched);
  expect(control.requests({ operation: "token" })).toHaveLength(1);
  const refused = control.requests({ status: 401 });
  expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(["APIGW.0307"]));
  expect(refused.length).toBeLessThanOrEqual(INSTANCES.length);
  await well(watched, refused.length);
});

test("a user and a password: when the token itself is refused, the next try in five minutes is with another", async () => {
  const watched = await watch(await cloud(), BY_PASSWORD);
  const { control, app, clock, inbox } = watched;
  const fault = { kind: "error", operation: "list_tasks", status: 401, code: "APIGW.0301" } as const;
  control.addFault({ ...fault, id: "refused" });
  clock.advance(MINUTE);
  await inbox.event("project.unreachable");
  control.clearFaults("refused");
  control.expireTokens();
  control.clearRequests();
  clock.advance(5 * MINUTE);
  await inbox.event("project.reachable");
  await all(app);
  expect(control.requests({ status: 401 })).toEqual([]);
  expect(control.requests({ operation: "token" })).toHaveLength(1);
});

test("a user and a password: a wrong one is tried once", async () => {
  const of = await cloud();
  const { control, clock, inbox } = of;
  const credentials = { ...BY_PASSWORD, password: "wrong" };
  const config = watchConfig(of.simulator, inbox, { projects: [projectOf(of.simulator, { credentials })] });
  const app = await RunningApp.start(config, { clock });
  onTestFinished(() => app.stop());
  await inbox.event("project.unreachable");
  expect(control.requests()).toMatchObject([{ operation: "token", status: 401 }]);
});

test("a user and a password: a token that IAM gives and no service takes is one call in five minutes", async () => {
  const of = await cloud();
  const { control, clock, simulator, inbox } = of;
  control.addFault({ kind: "error", operation: "list_tasks", status: 403, code: "APIGW.0802" });
  const config = watchConfig(simulator, inbox, {
    projects: [projectOf(simulator, { credentials: BY_PASSWORD })],
  });
  const app = await RunningApp.start(config, { clock });
  onTestFinished(() => app.stop());
  await inbox.event("project.unreachable");
  const calls = () => ["token", "list_tasks"].map((operation) => control.requests({ operation }).length);
  for (const tries of [1, 2, 3]) {
    await expect.poll(calls, { timeout: 20_000 }).toEqual([tries, tries]);
    expect((await app.scrape()).sum("taskwatch_credentials_valid")).toBe(0);
    clock.advance(4 * MINUTE);
    expect((await app.scrape()).sum("taskwatch_credentials_valid")).toBe(0);
    expect(calls()).toEqual([tries, tries]);
    clock.advance(MINUTE);
  }
});
