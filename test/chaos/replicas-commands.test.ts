import { afterAll, beforeAll, expect, test } from "vitest";
import { DEMO_KEY } from "../../src/simulator/server.ts";
import { type CliResult, runInProcess } from "../support/cli.ts";
import { House, type Replica } from "../support/replicas.ts";

/** What a command did is seen by the daemons within this time. */
const SEEN_MS = 5_000;

let house: House;
let replicas: Replica[];
/** Any machine that reaches Redis, with the same configuration. */
const cli = (...args: string[]): Promise<CliResult> =>
  runInProcess(...args, "--config", replicas[0]?.config ?? "");

beforeAll(async () => {
  house = await House.open({
    simulator: {
      projects: [
        { keys: [DEMO_KEY], instances: Array.from({ length: 8 }, (_, n) => ({ name: `queue-${n}` })) },
      ],
    },
    config: { window: { first_poll: "emit" }, stuck: { running_after: "1h" } },
  });
  // All over the shards, so that each replica has some.
  for (let n = 0; n < 8; n++) {
    const task = { id: `zombie-${n}`, name: "resize", created_ago: "3h", runs_for: "forever" };
    house.simulator.control.createTask({ instance: `queue-${n}` }, task);
  }
  replicas = await house.start(2);
  await house.inbox.until(() => house.inbox.ofType("task.stuck").length === 8);
});

afterAll(() => house[Symbol.asyncDispose]());

test("tasks and explain show the whole, whichever replica has it", async () => {
  const { code, stdout } = await cli("tasks", "--state", "stuck", "--json");
  expect(code).toBe(3);
  const { tasks } = JSON.parse(stdout) as { tasks: { task: { id: string } }[] };
  expect(tasks.map(({ task }) => task.id).sort()).toEqual(Array.from({ length: 8 }, (_, n) => `zombie-${n}`));
  for (const n of [0, 5]) expect((await cli("explain", `zombie-${n}`)).stdout).toMatch(/^stuck since /m);
});

test("an acknowledgement is sent by the task's owner, and seen in its metrics, within five seconds", async () => {
  const stuck = async () => {
    const scrapes = await Promise.all(replicas.map(({ daemon }) => daemon.scrape()));
    return scrapes.reduce((sum, scrape) => sum + scrape.sum("dms_tasks_stuck"), 0);
  };
  // The second replica takes over its share of the shards; between two owners a shard shows no series.
  await expect.poll(stuck, { timeout: 20_000, interval: 50 }).toBe(8);
  for (let n = 0; n < 8; n++) expect((await cli("ack", `zombie-${n}`)).code).toBe(0);
  await expect.poll(stuck, { timeout: SEEN_MS, interval: 50 }).toBe(0);
  const told = () => house.inbox.ofType("task.recovered");
  await expect.poll(() => told().length, { timeout: SEEN_MS, interval: 50 }).toBe(8);
  expect(told().map(({ data }) => data.resolution)).toEqual(Array(8).fill("acknowledged"));
});

test("dead letters of all replicas are listed and replayed, under their ids", async () => {
  const { inbox, simulator } = house;
  inbox.answer = () => 400;
  for (let n = 0; n < 8; n++) {
    simulator.control.createTask(
      { instance: `queue-${n}` },
      { id: `new-${n}`, name: "restart", runs_for: "1h" },
    );
  }
  const list = async () =>
    JSON.parse((await cli("dead-letters", "list", "--json")).stdout) as {
      dead_letters: { event_id: string }[];
    };
  await expect.poll(async () => (await list()).dead_letters.length, { timeout: 20_000 }).toBe(8);
  const ids = (await list()).dead_letters.map(({ event_id }) => event_id).sort();
  inbox.answer = () => 204;
  const from = inbox.letters.length;
  expect((await cli("dead-letters", "replay")).code).toBe(0);
  await expect
    .poll(
      () =>
        inbox.letters
          .slice(from)
          .map(({ id }) => id)
          .sort(),
      { timeout: SEEN_MS, interval: 50 },
    )
    .toEqual(ids);
});
