import fc from "fast-check";
import { expect, it } from "vitest";
import { AlertStore } from "../../src/alerting/alert-store.ts";
import { alertMaker, type InstanceSnapshot } from "../../src/alerting/alerts.ts";
import { MATCH_ALL } from "../../src/config/match.ts";
import { acknowledge } from "../../src/core/ack.ts";
import { apply } from "../../src/core/apply.ts";
import { expireFailuresByTime } from "../../src/core/failures.ts";
import type { InstanceState } from "../../src/core/state.ts";
import { HOUR, MINUTE, poll, type RuleChanges, rulesOf, seen, stateOf, T0 } from "../core/support.ts";

const STATUSES = ["CREATED", "EXECUTING", "ODD", "SUCCESS", "FAILED", "CANCELLED"] as const;

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("poll" as const),
      status: fc.constantFrom(...STATUSES),
      progress: fc.option(fc.constantFrom(0.1, 0.5, 0.9)),
      minutes: fc.constantFrom(1, 20, 90),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("window" as const), open: fc.boolean() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("limits" as const),
      queuedAfter: fc.constantFrom(5 * MINUTE, 3 * HOUR),
      runningAfter: fc.constantFrom(10 * MINUTE, 3 * HOUR),
      noProgressAfter: fc.constantFrom(null, 10 * MINUTE),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "ack" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "restart" as const }) },
);

const ALL = { events: ["task.failed", "task.stuck"] as const, match: MATCH_ALL };

it("an alert ends only when its condition is over, through changes of verdict, windows and restarts", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 2, maxLength: 14 }), (steps) => {
      let now = T0;
      let state: InstanceState = stateOf();
      let open = false;
      let stuck: RuleChanges["stuck"] = {};
      let alertStore = new AlertStore();
      let updates = 0;
      const maker = alertMaker(ALL, "");
      const sightOf = (): InstanceSnapshot => ({
        key: "p1/i1",
        shard: 1,
        project: { name: "prod", region: "eu-west-101" },
        instance: { id: "i1", name: "orders", engine: "kafka" },
        state,
      });
      /** The conditions that alerts last for, and whether the window holds each back. */
      const lasting = () =>
        [...alertStore.entries.values()].flatMap(({ alert, endedAt }) =>
          endedAt === null ? [alert.labels.alertname] : [],
        );
      for (const next of steps) {
        const before = lasting();
        const rules = rulesOf({
          stuck: stuck ?? {},
          mutedUntil: () => (open ? now + HOUR : null),
          webhooks: [],
        });
        if (next.kind === "window") open = next.open;
        else if (next.kind === "limits") stuck = next;
        else if (next.kind === "restart") alertStore = new AlertStore();
        else if (next.kind === "ack") {
          const decision = acknowledge(state, "a", { by: "ann", at: now, reason: null }, rules);
          if (!("refused" in decision)) state = apply(state, decision);
        } else {
          now += next.minutes * MINUTE;
          const row = seen("a", next.status, { updatedAt: T0 + updates++ });
          const progress = next.progress === null ? {} : { a: next.progress };
          state = poll(state, [row], { now, rules, progress }).state;
          state = apply(state, expireFailuresByTime(state, rules, now));
        }
        alertStore.set({ key: "p1/i1", shard: 1 }, maker.lasting(sightOf()), now);
        const after = lasting();
        const task = state.tasks.get("a");
        for (const name of before.filter((each) => !after.includes(each))) {
          expect(name === "DmsTaskStuck" ? (task?.verdict ?? null) : (task?.failedAt ?? null)).toBeNull();
        }
        // What began inside a window stays inside it.
        if (open) for (const name of after) expect(before).toContain(name);
        if (!open && next.kind === "poll") {
          expect(after).toEqual([
            ...(task?.failedAt ? ["DmsTaskFailed"] : []),
            ...(task?.verdict ? ["DmsTaskStuck"] : []),
          ]);
        }
      }
    }),
    { numRuns: Number(process.env.PROPERTY_RUNS ?? 1000) },
  );
});
