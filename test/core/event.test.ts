import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cloudEvent } from "../../src/core/cloudevent.ts";
import { iso } from "../../src/core/data.ts";
import { eventId } from "../../src/core/event.ts";
import { instanceHealth } from "../../src/core/health.ts";
import { discoverInstance, removeInstance } from "../../src/core/membership.ts";
import { maskParams, PARAMS_CAP } from "../../src/core/params.ts";
import { MINUTE, only, poll, type RuleChanges, recordOf, rulesOf, seen, stateOf, T0 } from "./support.ts";

const firstEvent = (changes: RuleChanges, row: Parameters<typeof seen>[2] = {}) =>
  only(poll(stateOf(), [seen("8abf", "FAILED", row)], { rules: rulesOf(changes) }).decision.events);

describe("the id", () => {
  it("follows from what happened, and is another one after each removal of the instance", () => {
    const removed = (removals: number) => {
      const state = stateOf();
      const again = { ...state, record: { ...state.record, removals } };
      const { events } = poll(again, [seen("8abf", "EXECUTING"), seen("9bcd", "FAILED")]).decision;
      const down = instanceHealth(
        again.record,
        rulesOf(),
        { count: 3, since: T0 - 5 * MINUTE, cause: "timeout", answer: null },
        false,
        T0,
      ).events;
      const found = discoverInstance(again, rulesOf(), T0).events;
      const left = removeInstance(again, rulesOf(), T0).events;
      return [...events, ...down, ...found, ...left].map(({ id }) => id);
    };
    const all = [0, 1, 2].flatMap(removed);
    expect(all.length).toBeGreaterThanOrEqual(3 * 5);
    expect(new Set(all).size).toBe(all.length);
    expect(removed(1)).toEqual(removed(1));
    expect(eventId("p1", "i1", "8abf", "failed:FAILED", 1, 0)).toBe("evt_3c7f11912620a3245ad9a0fb54844d40");
  });

  it("does not depend on the request that told", () => {
    const idBy = (requestId: string | null) => {
      const answer = { errorCode: null, requestId };
      const streak = { count: 3, since: T0 - 5 * MINUTE, cause: "server_error", answer } as const;
      const { id, data } = only(instanceHealth(recordOf(), rulesOf(), streak, false, T0).events);
      expect(data.request_id).toBe(requestId);
      return id;
    };
    expect(new Set([idBy("5df1"), idBy("6ea2"), idBy(null)]).size).toBe(1);
  });
});

describe("the CloudEvent", () => {
  it("of a task has every key in the documented order", () => {
    const { state } = poll(stateOf(), [seen("8abf", "EXECUTING")]);
    const failed = seen("8abf", "FAILED", { updatedAt: T0 + 12_400 });
    const event = only(poll(state, [failed], { now: T0 + MINUTE }).decision.events);
    const id = eventId("p1", "i1", "8abf", "failed:FAILED", 1, 0);
    expect(id).toMatch(/^evt_[0-9a-f]{32}$/);
    expect(cloudEvent(event)).toBe(
      `{"specversion":"1.0","id":"${id}","source":"/projects/p1/instances/i1","type":"taskwatch.task.failed",` +
        `"subject":"8abf","time":"2026-11-24T10:01:00.000Z","datacontenttype":"application/json","data":{` +
        `"reason":"status EXECUTING -> FAILED","project":{"name":"prod","id":"p1","region":"eu-west-101"},` +
        `"instance":{"id":"i1","name":"orders","engine":"kafka","status":null},` +
        `"task":{"id":"8abf","name":"modifyAutoTopic","status":"FAILED","user_name":"paas_dms",` +
        `"user_id":"3df5acbc24a54fadb62a043c9000a307",` +
        `"created_at":"2026-11-24T09:55:00.000Z","updated_at":"2026-11-24T10:00:12.400Z","params":null},` +
        `"previous_status":"EXECUTING","sequence":2,"duration_seconds":312.4,"verdict":null,"previous_verdict":null,` +
        `"threshold":null,"was_stuck":false,"recovered_from":null,"resolution":null,"resolved_by":null,` +
        `"progress_ratio":null,"cause":null,"error_code":null,"request_id":null,"since":null,"muted":false,` +
        `"muted_until":null,"silence":null,"diagnosis":null,"url":null}}`,
    );
  });

  it("of an instance has no subject, and task and sequence null", () => {
    const streak = { count: 3, since: T0 - 5 * MINUTE, cause: "timeout", answer: null } as const;
    const event = only(instanceHealth(recordOf(), rulesOf(), streak, false, T0).events);
    const body = JSON.parse(cloudEvent(event));
    expect(body).not.toHaveProperty("subject");
    expect(body.data).toMatchObject({ task: null, sequence: null, cause: "timeout" });
    expect(Object.keys(body.data).sort()).toEqual(Object.keys(firstEvent({}).data).sort());
  });

  it("links to the task where there is an external URL, for any id", () => {
    const { decision } = poll(stateOf(), [seen("a/b ?#\ud800", "CREATED")], {
      rules: rulesOf({ externalUrl: "https://watch.example.org" }),
    });
    expect(only(decision.events).data.url).toBe("https://watch.example.org/#/tasks/a%2Fb%20%3F%23%EF%BF%BD");
  });

  it("of anything the cloud may send is JSON with a time that parses", () => {
    const text = fc.string({ unit: "binary", maxLength: 30 });
    const date = fc.option(fc.double({ noNaN: false }));
    fc.assert(
      fc.property(text, text, text, date, date, (id, name, status, createdAt, updatedAt) => {
        const row = seen(`x${id}`, `Y${status}`, { name, createdAt, updatedAt });
        for (const event of poll(stateOf(), [row]).decision.events) {
          const body = JSON.parse(cloudEvent(event));
          expect(Number.isNaN(Date.parse(body.time))).toBe(false);
          expect(body.data.task.name).toBe(name);
        }
      }),
    );
  });
});

describe("times", () => {
  it("that have no RFC 3339 form are null", () => {
    expect([null, -1, Number.NaN, 8.64e15, Number.POSITIVE_INFINITY].map(iso)).toEqual([
      null,
      null,
      null,
      null,
      null,
    ]);
    expect(iso(0)).toBe("1970-01-01T00:00:00.000Z");
  });
});

describe("privacy", () => {
  const params = '{"a":1}';
  it("keeps parameters out of events and state unless they are asked for", () => {
    expect(firstEvent({}, { params }).data.task?.params).toBeNull();
    expect(poll(stateOf(), [seen("a", "CREATED", { params })]).state.tasks.get("a")?.params).toBeNull();
    expect(firstEvent({ privacy: { taskParams: true } }, { params }).data.task?.params).toBe(params);
  });

  it("hides the names and ids of users where it says so", () => {
    const shown = { user_name: "paas_dms", user_id: "3df5acbc24a54fadb62a043c9000a307" };
    expect(firstEvent({}).data.task).toMatchObject(shown);
    const hidden = firstEvent({ privacy: { userNames: false } }).data.task;
    expect(hidden).toMatchObject({ user_name: null, user_id: null });
  });

  it("when it changes, changes what is kept, once and without an event", () => {
    const rows = [seen("a", "CREATED", { params })];
    const shown = rulesOf({ privacy: { taskParams: true } });
    const hidden = rulesOf({ privacy: { userNames: false } });
    let step = poll(stateOf(), rows, { rules: shown });
    step = poll(step.state, rows, { rules: hidden });
    expect(step.decision).toMatchObject({ changed: true, events: [] });
    expect(step.state.tasks.get("a")).toMatchObject({ params: null, userName: null, userId: null });
    expect(poll(step.state, rows, { rules: hidden }).decision.changed).toBe(false);
  });
});

describe("parameters that look like secrets are masked", () => {
  for (const [text, masked] of [
    ['{"password":"p","user":"u"}', '{"password":"***","user":"u"}'],
    [
      '{"a":{"Secret_Key":{"x":1}},"b":[{"accessKey":"k"}]}',
      '{"a":{"Secret_Key":"***"},"b":[{"accessKey":"***"}]}',
    ],
    ['{"inner":"{\\"token\\":\\"t\\",\\"n\\":1}"}', '{"inner":"{\\"token\\":\\"***\\",\\"n\\":1}"}'],
    ['{"name":"ssl.keystore.password","value":"p"}', '{"name":"ssl.keystore.password","value":"***"}'],
    ['{"public_ip_address":"100.93.2.18"}', '{"public_ip_address":"100.93.2.18"}'],
    ["user=u&password=p&x=1", "user=u&password=***&x=1"],
    ["ak=AKIA, sk = 'a b', region=eu", "ak=***, sk = ***, region=eu"],
    ["Authorization: Bearer abc.def rest", "Authorization: *** rest"],
    ['{"password":"cut of', '{"password":***'],
    ['{"inner":"x password=p y"}', '{"inner":"x password=*** y"}'],
    ['{"__proto__":{"secret":"s"}}', '{"__proto__":{"secret":"***"}}'],
    ["[topic-1]", "[topic-1]"],
    ["plain text", "plain text"],
  ] as const) {
    it(text, () => expect(maskParams(text)).toBe(masked));
  }

  it("none is none", () => expect([maskParams(null), maskParams("")]).toEqual([null, null]));

  it("and all are cut at the cap, however long or deep, in little time", () => {
    for (const text of [
      "x".repeat(500_000),
      `{"a":"${"y".repeat(5000)}"}`,
      "[".repeat(200_000),
      `${"[".repeat(20_000)}${"]".repeat(20_000)}`,
      `${"a".repeat(64)}${"\\".repeat(60_000)}`,
      "a='".repeat(30_000),
      'password="\\'.repeat(10_000),
      `{"password":"${"p".repeat(100_000)}`,
    ]) {
      const masked = maskParams(text)!;
      expect(masked.length).toBeLessThanOrEqual(PARAMS_CAP);
      expect(masked).not.toContain("ppp");
    }
  });

  it("never shows the value of a secret key, at any depth", () => {
    const key = fc.constantFrom("password", "Token", "secret_key", "db-passwd", "apiKey", "SK");
    const nest = (text: string, depth: number): string =>
      depth === 0
        ? text
        : nest(JSON.stringify({ n: depth, inner: depth % 2 ? text : JSON.parse(text) }), depth - 1);
    fc.assert(
      fc.property(key, fc.integer({ min: 0, max: 6 }), (name, depth) => {
        expect(maskParams(nest(JSON.stringify({ [name]: "hunter2" }), depth))).not.toContain("hunter2");
      }),
    );
  });
});
