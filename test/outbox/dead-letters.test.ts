import { expect, test } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import { openStore } from "../../src/store/open.ts";
import { dead, event, leaseOf, put } from "../store/contract/back-end.ts";
import { runInProcess } from "../support/cli.ts";
import { Folder } from "../support/daemon.ts";

const COUNT = 1_234;

test("dead-letters list shows all of them, the oldest first, however many there are", async () => {
  await using folder = await Folder.create();
  const url = `sqlite:${folder.file("t.db")}`;
  const config = await folder.write("taskwatch.json", {
    projects: [
      {
        name: "prod",
        region: "eu-west-101",
        credentials: { access_key: "AK", secret_key: "SK" },
        instances: [{ id: "i1" }],
      },
    ],
    store: { url, shards: 4 },
  });
  const list = (...more: readonly string[]) =>
    runInProcess("dead-letters", "list", "--config", config, ...more);
  const store = await openStore(
    { url, keyPrefix: "taskwatch", shards: 4 },
    { exclusive: true, clock: systemClock },
  );
  try {
    expect(await list()).toEqual({ code: 0, stdout: "no dead letters\n", stderr: "" });
    expect(JSON.parse((await list("--json")).stdout)).toEqual({ dead_letters: [] });
    const ids = Array.from({ length: COUNT }, (_, n) => `evt_${String(n).padStart(5, "0")}`);
    const lease = await leaseOf(store);
    await put(
      store,
      lease,
      ...ids.map((id) => event(id, { lane: id, body: JSON.stringify({ id, t: "\n\u202e" }) })),
    );
    const claim = await store.outbox.claim(lease, "ops", COUNT, Number.MAX_SAFE_INTEGER);
    if (claim === "fenced") throw new Error("fenced");
    await store.outbox.settle(lease, "ops", claim.deliveries, dead, systemClock.now());
    const { stdout } = await list("--json");
    expect(stdout).not.toContain("\u202e");
    const { dead_letters: letters } = JSON.parse(stdout) as {
      dead_letters: { event_id: string; event: { id: string } }[];
    };
    expect(letters.map(({ event_id }) => event_id)).toEqual(ids);
    expect(letters.map(({ event: { id } }) => id)).toEqual(ids);
    const lines = (await list()).stdout.trimEnd().split("\n");
    expect(lines.slice(1).map((line) => line.split(" ")[0])).toEqual(ids);
  } finally {
    await store.close();
  }
});
