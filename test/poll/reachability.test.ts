import { expect, test } from "vitest";
import { Gates } from "../../src/app/gates.ts";
import { PolledInstance } from "../../src/poll/polled-instance.ts";
import { Reachability } from "../../src/poll/reachability.ts";
import { ReplicaCounts } from "../../src/poll/replica-counts.ts";
import { Schedule } from "../../src/poll/schedule.ts";
import { Shard } from "../../src/poll/shard.ts";
import type { InstanceTarget, PollProject } from "../../src/poll/target.ts";
import type { Store } from "../../src/ports/store.ts";
import { MINUTE, rulesOf } from "../core/support.ts";
import { leaseOf } from "../store/contract/back-end.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { memoryStore } from "../support/memory-store.ts";

const POLL_MS = 20_000;

interface Replica {
  readonly member: string;
  readonly shard: Shard;
  readonly reach: Reachability;
  readonly watched: PolledInstance[];
}

/** Replicas with so many instances of one project each; the first one owns the project's own record. */
async function scene(...counts: readonly number[]) {
  const clock = new ManualClock();
  const store = await memoryStore(clock, counts.length);
  let written = 0;
  const notes: Store["notes"] = {
    ...store.notes,
    write(...note) {
      written += 1;
      return store.notes.write(...note);
    },
  };
  const rules = rulesOf();
  const project: PollProject = {
    ...rules.project,
    gate: new Gates(store, clock, () => {}).gate("prod", 50, "f"),
    rules: { ...rules, mutedUntil: () => null },
  };
  const schedule = new Schedule("*/20 * * * * *", "UTC");
  const watch = (id: string, shard: Shard): PolledInstance => {
    const unasked = () => Promise.reject(new Error("nobody asked for this"));
    const source = {
      cloudOffset: 0,
      list: unasked,
      show: unasked,
      progress: unasked,
      instances: unasked,
      scheduled: unasked,
    };
    const target: InstanceTarget = {
      key: `p1/${id}`,
      project,
      instanceId: id,
      source,
      shard: shard.number,
      share: 0,
      schedule,
      activeSchedule: null,
      rules: { ...rules, instance: { id, name: id, engine: "kafka" } },
      discovered: false,
      announce: false,
      bornWatched: false,
    };
    return new PolledInstance(target, shard, clock.now());
  };
  const told: string[] = [];
  const total = counts.reduce((sum, count) => sum + count, 0);
  const replicas: Replica[] = [];
  const members = () => replicas.map(({ member }) => member);
  for (const [number, count] of counts.entries()) {
    const member = `replica-${number}`;
    const shard = await Shard.open(
      store.state,
      await leaseOf(store, number, member),
      Number.POSITIVE_INFINITY,
    );
    const reach = new Reachability({
      emit: () => {},
      replicaCounts: new ReplicaCounts({ notes, member, members }),
      committed: (_, events) => told.push(...events.map(({ type }) => type)),
    });
    const watched = Array.from({ length: count }, (_, n) => watch(`i${number}-${n}`, shard));
    replicas.push({ member, shard, reach, watched });
  }
  return {
    told,
    replicas,
    written: () => written,
    /** Another one takes over what the last one had, and knows nothing of how it fared. */
    die() {
      const dead = replicas.pop();
      const [heir] = replicas;
      heir?.watched.push(...(dead?.watched ?? []).map(({ target }) => watch(target.instanceId, heir.shard)));
    },
    /** All are polled, again and again; those with a cause fail. Those that are `unpolled` have no turn. */
    async polls(
      ms: number,
      fails: (watched: PolledInstance) => boolean,
      unpolled: (id: string) => boolean = () => false,
    ) {
      for (let passed = 0; passed < ms; passed += POLL_MS) {
        await clock.advance(POLL_MS);
        const now = clock.now();
        for (const { reach, watched } of replicas) {
          for (const each of watched.filter(({ target }) => !unpolled(target.instanceId))) {
            each.up = !fails(each);
            const { count, since } = each.streak ?? { count: 0, since: now };
            each.streak = each.up ? null : { count: count + 1, since, cause: "server_error", answer: null };
            await reach.judge(each, null, now);
          }
        }
        // Twice, as all do it more often than instances are polled.
        for (const turn of [0, 1]) {
          for (const [index, { reach, shard, watched }] of replicas.entries()) {
            const judged = [{ project, home: index === 0 ? shard : undefined, total, ...WATCHED }];
            await reach.exchange(judged, watched, now + turn);
            await reach.judgeProjects(judged, watched, now + turn);
          }
        }
      }
    },
  };
}

const WATCHED = { unwatched: null, listedAt: null, superseded: false };
const all = () => true;
const none = () => false;

test("a project whose instances all fail is told once, though no replica has three of them", async () => {
  const { polls, told } = await scene(2, 2, 2);
  await polls(MINUTE, none);
  await polls(10 * MINUTE, all);
  expect(told).toEqual(["project.unreachable"]);
  await polls(5 * MINUTE, none);
  expect(told).toEqual(["project.unreachable", "project.reachable"]);
});

test("all instances of one replica are not the project: each of them is told", async () => {
  const { polls, told, replicas } = await scene(3, 2, 2);
  await polls(10 * MINUTE, (each) => replicas[0]?.watched.includes(each) === true);
  expect(told).toEqual(["instance.unreachable", "instance.unreachable", "instance.unreachable"]);
});

test("a project that is unreachable stays so when a replica dies, until what it had answers as well", async () => {
  const { polls, told, die } = await scene(2, 1, 4);
  await polls(10 * MINUTE, all);
  expect(told).toEqual(["project.unreachable"]);
  die();
  const left = (id: string) => id.startsWith("i2");
  await polls(MINUTE, none, left);
  expect(told).toEqual(["project.unreachable"]);
  await polls(MINUTE, none);
  expect(told).toEqual(["project.unreachable", "project.reachable"]);
});

test("nothing is written while nothing fails, nor while it fails as before", async () => {
  const { polls, written, replicas } = await scene(2, 2);
  await polls(5 * MINUTE, none);
  expect(written()).toBe(0);
  const one = (each: PolledInstance) => each === replicas[1]?.watched[0];
  await polls(5 * MINUTE, one);
  const before = written();
  expect(before).toBeGreaterThan(0);
  await polls(5 * MINUTE, one);
  expect(written()).toBe(before);
});
