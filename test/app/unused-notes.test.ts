import { expect, onTestFinished, test } from "vitest";
import { credentialsFingerprint } from "../../src/app/connection.ts";
import { UnusedNotes } from "../../src/app/unused-notes.ts";
import type { Config } from "../../src/config/config.ts";
import { placeholderId } from "../../src/core/unwatched.ts";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { openStore } from "../../src/store/open.ts";
import { Folder } from "../support/daemon.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { memoryStore } from "../support/memory-store.ts";
import { RunningApp } from "../support/running-app.ts";
import { ShiftedClock } from "../support/shifted-clock.ts";
import { projectOf, watchConfig } from "../support/watch-config.ts";

const HOUR = 3_600_000;

const CONFIG = {
  projects: [{ name: "prod", credentials: { access_key: "a" } }],
  webhooks: [{ name: "ops" }],
} as unknown as Config;

async function scene() {
  const clock = new ManualClock();
  const { notes } = await memoryStore(clock);
  const unused = new UnusedNotes(notes, clock);
  const names = async () => (await notes.list("")).map(({ name }) => name);
  const sweep = (projectIds: ReadonlySet<string> | null) => unused.sweep({ config: CONFIG, projectIds });
  return { clock, notes, names, sweep };
}

test("notes that no project and no webhook uses are removed after an hour, and no others", async () => {
  const { clock, notes, names, sweep } = await scene();
  const used = [
    `credentials/${credentialsFingerprint(CONFIG.projects[0]!)}`,
    "dialect/prod",
    "discovered-with/p1",
    "discovered/p1",
    "discovered/p1/owner",
    "project-ids",
    "reach/p1",
    `reach/${placeholderId("prod")}`,
    // Of a newer version, perhaps.
    "something/else",
    "webhook/ops",
  ].sort();
  const left = ["credentials/rotated", "dialect/old", "discovered/p2", "discovered/p2/owner", "reach/p2"];
  for (const name of [...used, ...left, "discovered-with/p2", "webhook/old"]) await notes.write(name, "x", 0);
  const all = await names();
  await sweep(new Set(["p1"]));
  await clock.advance(HOUR - 1);
  await sweep(new Set(["p1"]));
  expect(await names()).toEqual(all);
  await clock.advance(1);
  await sweep(new Set(["p1"]));
  expect(await names()).toEqual(used);
});

test("before all ids are known, no note of a project is unused", async () => {
  const { clock, notes, names, sweep } = await scene();
  await notes.write("discovered/p2", "x", 0);
  await sweep(null);
  await clock.advance(HOUR);
  await sweep(null);
  expect(await names()).toEqual(["discovered/p2"]);
});

test("the note of rotated credentials goes, and that of the new ones stays", async () => {
  await using folder = await Folder.create();
  const clock = new ShiftedClock();
  const other = { access_key: "OTHERKEYOTHERKEY", secret_key: "other-secret" };
  await using simulator = await startSimulator({
    clock: () => clock.now(),
    projects: [{ keys: [DEMO_KEY, other], instances: [{ name: "orders" }] }],
  });
  const store = { url: `sqlite:${folder.file("t.db")}` };
  const config = (credentials: object) =>
    watchConfig(simulator, null, { store, projects: [projectOf(simulator, { credentials })] });
  await using app = await RunningApp.start(config(DEMO_KEY), { clock });
  const beside = await openStore({ url: store.url, keyPrefix: "t", shards: 16 }, { exclusive: false, clock });
  onTestFinished(() => beside.close());
  const notes = async () => (await beside.notes.list("credentials/")).map(({ name }) => name);
  await expect.poll(notes, { timeout: 10_000 }).toHaveLength(1);
  const [first] = await notes();
  await app.reload(config(other));
  await expect.poll(notes, { timeout: 10_000 }).toHaveLength(2);
  const later = async () => {
    clock.advance(700_000);
    return await notes();
  };
  await expect.poll(later, { timeout: 20_000, interval: 100 }).not.toContain(first);
  await expect.poll(notes, { timeout: 10_000 }).toHaveLength(1);
});
