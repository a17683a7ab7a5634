import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { cloudEvent } from "../../src/core/cloudevent.ts";
import { EVENT_TYPES } from "../../src/core/event.ts";
import { eventSchemas } from "../../src/core/event-schema.ts";
import { testEvent } from "../../src/outbox/test-event.ts";
import { DEMO_KEY } from "../../src/simulator/server.ts";
import { polledAgain, sceneOf, shows } from "../app/scene.ts";
import { keptSchema, schemaProblem, unknownKeys } from "../support/event-schema.ts";
import { webhookOf } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

const MINUTE = 60_000;

type Json = Record<string, unknown> & { readonly data: Record<string, unknown> };
const asJson = (text: string): Json => JSON.parse(text);

describe("config/schemas", () => {
  test("has one file per type, as generated: run npm run schema after a change", () => {
    const folder = new URL("../../config/schemas/", import.meta.url);
    expect(readdirSync(folder).sort()).toEqual(EVENT_TYPES.map((type) => `${type}.schema.json`).sort());
    for (const [type, schema] of eventSchemas())
      expect(keptSchema(type)).toBe(`${JSON.stringify(schema, null, 2)}\n`);
  });

  test("every event that the daemon sends is as the schema of its type has it, and has no key that it does not know", {
    timeout: 120_000,
  }, async () => {
    await using inbox = await Inbox.start();
    const all = await sceneOf(
      {
        webhooks: [webhookOf(inbox)],
        server: { listen: "127.0.0.1:0", external_url: "https://tw.example.org" },
      },
      { discover: { every: "2s" } },
    );
    const { control, create, clock } = all;
    const app = await all.start({ privacy: { task_params: true, user_names: true } });
    await polledAgain(app);
    const running = create({ name: "runs", status: "WAITING" });
    const change = (id: string, status: string) => control.updateTask({ instance: "orders" }, id, { status });
    await inbox.event("task.started");
    change(running, "EXECUTING");
    await inbox.event("task.status_changed");
    change(running, "FAILED");
    await inbox.event("task.failed");
    create({ name: "runs", status: "SUCCESS" });
    await inbox.event("task.recovered", ({ data }) => data.resolution === "later_success");
    for (const status of ["CANCELLED", "DELETED"]) create({ name: "ends", status });
    const hanging = create({ name: "hangs", created_ago: "3h", runs_for: "forever" });
    await inbox.event("task.stuck");
    change(hanging, "SUCCESS");
    await inbox.event("task.recovered", ({ data }) => data.recovered_from === "stuck");
    const lost = create({ name: "vanishes", status: "EXECUTING" });
    await inbox.event("task.started", ({ data }) => data.task?.id === lost);
    control.deleteTask({ instance: "orders" }, lost);
    await inbox.event("task.vanished");

    control.addInstance({ name: "fresh", engine: "kafka", created_at: control.now() });
    await inbox.event("instance.discovered");
    control.removeInstance({ instance: "fresh" });
    await inbox.event("instance.removed");
    const fault = control.addFault({
      kind: "error",
      operation: "list_tasks",
      instance: "orders",
      status: 500,
    });
    for (let polls = 0; polls < 4; polls++) {
      clock.advance(MINUTE);
      await polledAgain(app, ["billing"]);
    }
    await inbox.event("instance.unreachable");
    control.clearFaults(fault);
    await inbox.event("instance.reachable");
    control.revokeKey(DEMO_KEY.access_key);
    await inbox.event("project.unreachable");
    control.addKey(DEMO_KEY);
    clock.advance(6 * MINUTE);
    await inbox.event("project.reachable");
    await shows(app, "taskwatch_credentials_valid", {}, 1);

    expect(inbox.bad).toEqual([]);
    const seen = new Set(inbox.letters.map(({ type }) => type));
    expect(EVENT_TYPES.filter((type) => type !== "test" && !seen.has(type))).toEqual([]);
    for (const { body } of inbox.letters) {
      const event = asJson(body);
      const type = EVENT_TYPES.find((each) => `taskwatch.${each}` === event.type) ?? "test";
      expect(unknownKeys(event, JSON.parse(keptSchema(type)))).toEqual([]);
    }
  });

  test("so is the test event", () => {
    const project = { name: "prod", id: "p1", region: "eu-west-101" };
    expect(schemaProblem(asJson(cloudEvent(testEvent("ops", project, 0))))).toBeNull();
  });

  test("an event that is not as promised is noticed", () => {
    const project = { name: "prod", id: "p1", region: "eu-west-101" };
    const good = asJson(cloudEvent(testEvent("ops", project, 0)));
    const broken = (change: (event: Json) => void) => {
      const event = structuredClone(good);
      change(event);
      return schemaProblem(event);
    };
    expect(broken((event) => delete event.data.muted)).toMatch(/'muted'/);
    expect(broken((event) => (event.id = "evt_1"))).toMatch(/pattern/);
    expect(broken((event) => (event.time = "yesterday"))).toMatch(/date-time/);
    expect(broken((event) => (event.subject = "t1"))).toMatch(/NOT/);
    expect(broken((event) => (event.data.cause = "bad luck"))).toMatch(/cause/);
    expect(broken((event) => (event.type = "taskwatch.task.stuck"))).toMatch(/verdict/);
    expect(broken((event) => (event.type = "taskwatch.other"))).toBe("there is no type taskwatch.other");
  });
});
