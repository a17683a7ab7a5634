import fc from "fast-check";
import { expect, it } from "vitest";
import { acknowledge } from "../../src/core/ack.ts";
import { apply } from "../../src/core/apply.ts";
import { decide } from "../../src/core/decide.ts";
import type { Decision, Knowledge } from "../../src/core/decision.ts";
import { expireFailuresByTime } from "../../src/core/failures.ts";
import type { Rules } from "../../src/core/rules.ts";
import type { InstanceState, ScheduledTask } from "../../src/core/state.ts";
import type { ObservedTask } from "../../src/core/task.ts";
import { DAY, fresh, HOUR, inputOf, MINUTE, rulesOf, T0, webhook } from "./support.ts";

const IDS = ["a", "b", "c"];
const STATUSES = ["CREATED", "WAITING", "EXECUTING", "SUCCESS", "FAILED", "CANCELLED", "DELETED", "ODD"];
const WEBHOOKS = [
  webhook("failures", ["task.failed"]),
  webhook("hangs", ["task.stuck"]),
  webhook("ends", ["task.recovered"]),
  webhook("all", ["task.failed", "task.stuck", "task.recovered"]),
];

const date = (from: number, to: number) =>
  fc.option(fc.integer({ min: from, max: to }).map((minutes) => T0 + minutes * MINUTE));
const row: fc.Arbitrary<ObservedTask> = fc.record({
  id: fc.constantFrom(...IDS),
  name: fc.constantFrom("restart", "modify"),
  status: fc.constantFrom(...STATUSES),
  userName: fc.constant(null),
  userId: fc.constant(null),
  params: fc.constant(null),
  createdAt: date(-300, 10),
  updatedAt: date(-300, 300),
});

const planned: fc.Arbitrary<ScheduledTask> = fc.record({
  id: fc.constantFrom(...IDS),
  name: fc.constantFrom("restart", "modify"),
  status: fc.constantFrom(...STATUSES),
  scheduleAt: date(-300, 100),
  createdAt: date(-300, 10),
});

/** What may change by a reload, by what is learned, and by the hour, while incidents are open. */
const settings = fc.record({
  webhooks: fc.subarray(WEBHOOKS),
  muted: fc.boolean(),
  keepOpen: fc.constantFrom(null, HOUR, 7 * DAY),
  stuck: fc.record({
    repeat: fc.constantFrom(null, 30 * MINUTE),
    runningAfter: fc.constantFrom(10 * MINUTE, HOUR, 5 * HOUR),
    queuedAfter: fc.constantFrom(5 * MINUTE, 2 * HOUR),
    noProgressAfter: fc.constantFrom(null, 10 * MINUTE),
  }),
  learned: fc.constantFrom(null, 300, 9000),
  executed: fc.boolean(),
  scheduledTasks: fc.boolean(),
});

const aPoll = fc.record({
  kind: fc.constant("poll" as const),
  rows: fc.uniqueArray(row, { selector: ({ id }) => id, maxLength: 3 }),
  complete: fc.boolean(),
  gone: fc.subarray(IDS),
  scheduled: fc.option(fc.uniqueArray(planned, { selector: ({ id }) => id, maxLength: 3 })),
  progress: fc.dictionary(fc.constantFrom(...IDS), fc.double({ min: 0, max: 1, noNaN: true })),
  step: fc.constantFrom(MINUTE, 20 * MINUTE, 3 * HOUR, -HOUR),
});
const action = fc.oneof(
  { weight: 8, arbitrary: aPoll },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("ack" as const), id: fc.constantFrom(...IDS) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("time" as const),
      step: fc.constantFrom(MINUTE, 3 * HOUR, 8 * DAY),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("settings" as const), next: settings }) },
);

it("each incident has one beginning and one end, whatever is configured meanwhile, and whoever heard the one hears the other", () => {
  fc.assert(
    fc.property(settings, fc.array(action, { minLength: 1, maxLength: 14 }), (first, actions) => {
      let now = T0;
      let state: InstanceState = fresh();
      let { webhooks, muted, keepOpen, stuck, learned, executed, scheduledTasks } = first;
      /** Open incidents, each with the webhooks that were sent some of it. */
      const open = new Map<string, Set<string>>();

      const decisionOf = (step: Exclude<(typeof actions)[number], { kind: "settings" }>): Decision | null => {
        if (step.kind !== "ack") now += step.step;
        const rules: Rules = rulesOf({
          webhooks,
          keepOpen,
          stuck,
          scheduledTasks,
          mutedUntil: () => (muted ? now + HOUR : null),
        });
        if (step.kind === "time") return expireFailuresByTime(state, rules, now);
        if (step.kind === "ack") {
          const decision = acknowledge(state, step.id, { by: "ann", at: now, reason: null }, rules);
          return "refused" in decision ? null : decision;
        }
        const { rows, complete, gone, progress, scheduled } = step;
        const knowledge: Knowledge = {
          executed: () => executed,
          learned: () =>
            learned === null
              ? null
              : { threshold: { seconds: learned, source: "learned", samples: 30 }, knownSince: 0 },
        };
        const asked = gone.filter((id) => state.tasks.has(id));
        const lookups = Object.fromEntries(asked.map((id) => [id, { kind: "gone" } as const]));
        return decide(
          inputOf(state, rows, { now, rules, knowledge, complete, progress, lookups, scheduled }),
        );
      };

      for (const step of actions) {
        if (step.kind === "settings") {
          ({ webhooks, muted, keepOpen, stuck, learned, executed, scheduledTasks } = step.next);
          continue;
        }
        const decision = decisionOf(step);
        if (decision === null) continue;
        state = apply(state, decision);
        for (const { type, data, webhooks: sent } of decision.events) {
          const id = data.task?.id ?? "";
          const heard = open.get(id);
          if (type === "task.failed" || type === "task.stuck") {
            open.set(id, new Set([...(heard ?? []), ...sent]));
          } else if (type === "task.recovered") {
            expect(heard).toBeDefined();
            const configured = webhooks.map(({ name }) => name);
            expect(sent).toEqual(
              expect.arrayContaining([...(heard ?? [])].filter((name) => configured.includes(name))),
            );
            open.delete(id);
          }
        }
        const alerting = [...state.tasks.values()].filter(
          ({ failedAt, verdict }) => failedAt !== null || verdict !== null,
        );
        expect([...open.keys()].toSorted()).toEqual(alerting.map(({ id }) => id).toSorted());
      }
    }),
    { numRuns: Number(process.env.PROPERTY_RUNS ?? 500) },
  );
});
