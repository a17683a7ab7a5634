import { expect, test, vi } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { Daemon, Folder } from "../support/daemon.ts";
import { projectOf, watchConfig } from "../support/watch-config.ts";

vi.setConfig({ testTimeout: 60_000 });

const NEW_KEY = { access_key: "ROTATEDACCESSKEY0000", secret_key: "a rotated secret key of the simulator" };
const PROFILE_KEY = { access_key: "PROFILEACCESSKEY0000", secret_key: "the secret key of the profile" };
const NEXT_PROFILE_KEY = { access_key: "NEXTPROFILEACCESS000", secret_key: "the next secret key of it" };
const TEMPORARY_KEY = { ...NEW_KEY, security_token: "for these keys alone" };
const USER = { name: "watcher", password: "pass-word-1", domain: "acme" };

test("each form is rotated by a change of its file, and no poll fails", async () => {
  const instances = [{ name: "orders" }];
  await using simulator = await startSimulator({
    projects: [
      { name: "keys", keys: [DEMO_KEY], instances },
      { name: "profile", keys: [PROFILE_KEY], instances },
      { name: "token", instances },
      { name: "password", users: [USER, { ...USER, password: "pass-word-2" }], instances },
    ],
  });
  const { control } = simulator;
  await using folder = await Folder.create();
  const profile = ({ access_key, secret_key }: typeof DEMO_KEY) =>
    folder.write("credentials", `[basic]\nak = ${access_key}\nsk = ${secret_key}\n`);
  const secret_key_file = await folder.write("secret", DEMO_KEY.secret_key);
  const token_file = await folder.write("token", "the-first-token");
  const password_file = await folder.write("password", USER.password);
  const configure = (keys: Record<string, string>) => {
    const forms = [
      { secret_key_file, ...keys },
      { profile: "basic" },
      { token_file },
      { user: USER.name, domain: USER.domain, password_file },
    ];
    const projects = forms.map((credentials, n) => projectOf(simulator, { credentials, name: `p${n}` }, n));
    return folder.write(
      "taskwatch.yaml",
      watchConfig(simulator, null, { projects, log: { level: "debug" } }),
    );
  };
  control.addToken("the-first-token", undefined, ["token"]);
  const path = await configure({ access_key: DEMO_KEY.access_key });
  const env = { HUAWEICLOUD_SDK_CREDENTIALS_FILE: await profile(PROFILE_KEY) };
  await using daemon = await Daemon.start(path, env);
  const up = () =>
    expect.poll(async () => (await daemon.scrape()).sum("dms_instance_up"), { timeout: 30_000 }).toBe(4);
  await up();
  /** The daemon takes the change over, and polls every instance after it. */
  const changed = async () => {
    const from = daemon.log.lines.length;
    await daemon.log.until(({ msg }) => msg === "configuration reloaded", from);
    const after = daemon.log.lines.length;
    for (const project of ["p0", "p1", "p2", "p3"]) {
      await daemon.log.until((line) => line.msg === "polled" && line.project === project, after);
    }
  };
  const used = (key: string) => control.requests({ operation: "list_tasks", key }).length;

  control.addKey(NEXT_PROFILE_KEY, ["profile"]);
  await profile(NEXT_PROFILE_KEY);
  await changed();
  expect(used(NEXT_PROFILE_KEY.access_key)).toBeGreaterThan(0);
  control.revokeKey(PROFILE_KEY.access_key);

  control.addToken("the-second-token", undefined, ["token"]);
  await folder.write("token", "the-second-token");
  await changed();

  expect(control.requests({ operation: "token" })).toHaveLength(1);
  await folder.write("password", "pass-word-2");
  await changed();
  expect(control.requests({ operation: "token" })).toHaveLength(2);

  control.addKey(TEMPORARY_KEY, ["keys"]);
  await folder.write("secret", TEMPORARY_KEY.secret_key);
  await folder.write("security-token", TEMPORARY_KEY.security_token);
  await configure({
    access_key: TEMPORARY_KEY.access_key,
    security_token_file: folder.file("security-token"),
  });
  await changed();
  expect(used(TEMPORARY_KEY.access_key)).toBeGreaterThan(0);
  control.revokeKey(DEMO_KEY.access_key);

  await up();
  const scrape = await daemon.scrape();
  expect(scrape.sum("taskwatch_poll_failures_total")).toBe(0);
  expect(scrape.sum("taskwatch_credentials_valid")).toBe(4);
  expect(control.requests({ status: 401 })).toEqual([]);
});
