import { expect, onTestFinished, test, vi } from "vitest";
import { DEMO_KEY, type SimulatorOptions, startSimulator } from "../../src/simulator/server.ts";
import { Folder } from "../support/daemon.ts";
import { Inbox } from "../support/inbox.ts";
import { RunningApp, type RunningAppOptions } from "../support/running-app.ts";
import { ShiftedClock } from "../support/shifted-clock.ts";
import { projectOf, type RawConfig, watchConfig } from "../support/watch-config.ts";

vi.setConfig({ testTimeout: 90_000 });

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NEW_KEY = { access_key: "ROTATEDACCESSKEY0000", secret_key: "a rotated secret key of the simulator" };
const TEMPORARY = { access_key: "TEMPORARYACCESSKEY00", secret_key: "a temporary secret key" };
const USER = { name: "watcher", password: "pass-word-1", domain: "acme" };
const OTHER_USER = { name: "second-watcher", password: "pass-word-2", domain: "acme" };
const BY_PASSWORD = { user: USER.name, password: USER.password, domain: USER.domain };
const INSTANCES = ["orders", "billing", "payments"];

/** One project that lets in what is given, on a clock that the test moves for cloud and daemon alike. */
async function cloud(options: Pick<SimulatorOptions, "metadata" | "token_lifetime"> = {}) {
  const clock = new ShiftedClock();
  const simulator = await startSimulator({
    ...options,
    clock: () => clock.now(),
    log_size: 100_000,
    projects: [
      { keys: [DEMO_KEY], users: [USER, OTHER_USER], instances: INSTANCES.map((name) => ({ name })) },
    ],
  });
  onTestFinished(() => simulator.close());
  const inbox = await Inbox.start();
  onTestFinished(() => inbox[Symbol.asyncDispose]());
  const folder = await Folder.create();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  return { clock, simulator, control: simulator.control, inbox, folder };
}

type Cloud = Awaited<ReturnType<typeof cloud>>;

/** A daemon that polls with these credentials; resolves once all instances have answered. */
async function watch(of: Cloud, credentials: RawConfig, options: RunningAppOptions = {}) {
  const { clock, simulator, inbox } = of;
  const config = (form: RawConfig) =>
    watchConfig(simulator, inbox, {
      projects: [projectOf(simulator, { credentials: form })],
      // So rarely that only the test's own steps bring polls: none is in flight when the clock moves on.
      poll: { schedule: "0 * * * * *", active_schedule: "off" },
      // A step of the clock that is longer is a takeover.
      store: { url: "sqlite::memory:", lease: "10m" },
    });
  const app = await RunningApp.start(config(credentials), { clock, ...options });
  onTestFinished(() => app.stop());
  clock.advance(MINUTE);
  await all(app);
  return { ...of, app, reload: (form: RawConfig) => app.reload(config(form)) };
}

type Watch = Awaited<ReturnType<typeof watch>>;

const all = (app: RunningApp) =>
  expect
    .poll(async () => (await app.scrape()).sum("dms_instance_up"), { timeout: 30_000, interval: 20 })
    .toBe(INSTANCES.length);

/** Every instance is polled anew. */
async function polled({ app, clock }: Pick<Watch, "app" | "clock">, step = MINUTE): Promise<void> {
  const from = app.log.lines.length;
  clock.advance(step);
  for (const name of INSTANCES) {
    await app.log.until(({ msg, instance_name: of }) => msg === "polled" && of === name, from);
  }
}

/** In steps that keep the shard. */
async function pass(watched: Watch, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 8 * MINUTE) await polled(watched, Math.min(left, 8 * MINUTE));
}

/** No poll has failed, and the cloud has refused nothing but what is given. */
async function well({ app, control, inbox }: Watch, refusals = 0): Promise<void> {
  const scrape = await app.scrape();
  expect(scrape.sum("taskwatch_poll_failures_total")).toBe(0);
  expect(scrape.value("taskwatch_credentials_valid", { project: "prod" })).toBe(1);
  expect(scrape.sum("dms_instance_up")).toBe(INSTANCES.length);
  expect(control.requests({ status: 401 })).toHaveLength(refusals);
  expect(inbox.events).toEqual([]);
}

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

async function agency(metadata: NonNullable<SimulatorOptions["metadata"]>) {
  const of = await cloud({ metadata });
  const watched = await watch(of, { metadata: { endpoint: of.simulator.url } });
  /** Times that the keys were asked for and answered. */
  const fetched = () =>
    of.control.requests({ operation: "metadata_key" }).filter((call) => call.status).length;
  const keys = () => [...new Set(of.control.requests({ operation: "list_tasks" }).map(({ key }) => key))];
  return { watched, fetched, keys };
}

test.each([
  ["with the token step", { require_token: true }],
  ["where there is no token step", { token_step: 404 }],
  ["where the token step is not allowed", { token_step: 405 }],
  ["where the token step is not available", { token_step: 503 }],
] as const)("the agency of an ECS %s: keys are renewed ten minutes before their end", async (_, metadata) => {
  const { watched, fetched, keys } = await agency(metadata);
  for (let hour = 1; hour <= 4; hour += 1) {
    await pass(watched, 48 * MINUTE);
    expect(fetched()).toBe(hour);
    await polled(watched, 3 * MINUTE);
    // Nobody waited for it.
    await expect.poll(fetched).toBe(hour + 1);
    expect(keys()).toHaveLength(hour);
    await polled(watched);
    expect(keys()).toHaveLength(hour + 1);
  }
  await well(watched);
});

test("the agency of an ECS: a metadata service that fails when new keys are due costs no poll", async () => {
  const { watched, fetched, keys } = await agency({ require_token: true });
  const { control } = watched;
  await pass(watched, 30 * MINUTE);
  const fresh = control.rotateAgencyKeys();
  control.addFault({ kind: "error", operation: "metadata_key", status: 500, times: 2 });
  await pass(watched, 21 * MINUTE);
  for (let tries = 1; tries <= 3; tries += 1) {
    await expect.poll(fetched).toBe(1 + tries);
    await polled(watched);
  }
  await pass(watched, 20 * MINUTE);
  await well(watched);
  expect(keys()).toHaveLength(2);
  expect(keys()).toContain(fresh);
});

test("the agency of an ECS: keys that are revoked before their end are replaced in five minutes", async () => {
  const { watched, keys } = await agency({});
  const { control, clock, inbox, app } = watched;
  const [first = ""] = keys();
  control.revokeKey(first);
  control.rotateAgencyKeys();
  clock.advance(MINUTE);
  const down = await inbox.event("project.unreachable");
  expect(down.data.cause).toBe("credentials_rejected");
  clock.advance(5 * MINUTE);
  await inbox.event("project.reachable");
  await all(app);
  expect(keys()).toHaveLength(2);
});

test("the agency of an ECS: a server without one says so, and is watched once it has one", async () => {
  const of = await cloud();
  const { control, clock, simulator, inbox } = of;
  const message = "Please configure Cloud Service Agency first";
  control.addFault({ kind: "error", operation: "metadata_key", status: 401, message, shape: "text" });
  const credentials = { metadata: { endpoint: simulator.url } };
  const config = watchConfig(simulator, inbox, { projects: [projectOf(simulator, { credentials })] });
  const app = await RunningApp.start(config, { clock });
  onTestFinished(() => app.stop());
  const failed = await app.log.until(({ msg }) => /poll failed|cannot be reached/.test(msg));
  expect(JSON.stringify(failed)).toContain("this server has no agency");
  expect(control.requests({ operation: "list_tasks" })).toEqual([]);
  control.clearFaults();
  clock.advance(5 * MINUTE);
  await all(app);
});
