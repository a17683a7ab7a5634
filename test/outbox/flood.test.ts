import { Ajv } from "ajv";
import { afterAll, describe, expect, test } from "vitest";
import type { GroupConfig, WebhookConfig } from "../../src/config/config.ts";
import { Secret } from "../../src/config/secret.ts";
import { startReceiver } from "../support/receiver.ts";
import { MEDIA } from "./formats/media.ts";
import { event, taskNamed } from "./formats/samples.ts";
import { PAGERDUTY_ALERT } from "./formats/schemas.ts";
import { lease, Workbench, webhookConfig } from "./harness.ts";

/*
 * 500 instances fail within a second. Each kind of receiver is sent everything, at the rate and in the size that its
 * documentation allows, and what waits is in the store, not in memory. Real requests, on a clock that the test moves.
 */

const INSTANCES = 500;
const SHARDS = 16;
/** Events in memory, however many there are: those that wait for their group, and four messages on their way. */
const HELD = { alone: 4, grouped: 1_000 + 4 * 50 } as const;

interface Kind {
  readonly settings: Partial<WebhookConfig>;
  /** At most so many requests within so many milliseconds, as documented. */
  readonly rates: readonly (readonly [requests: number, ms: number])[];
  readonly schema: object | null;
  readonly bytes: (body: string) => number;
  readonly most: number;
  readonly taken: string;
  /** What it says when it has had too much, and how long it is to be left alone then. */
  readonly slowDown: { readonly body: string; readonly ms: number } | null;
}

const whole = (body: string) => Buffer.byteLength(body);

const KINDS: Readonly<Record<string, Kind>> = {
  cloudevents: {
    settings: {},
    rates: [],
    schema: null,
    bytes: whole,
    most: 20_000,
    taken: "",
    slowDown: null,
  },
  template: {
    settings: {
      format: "template",
      template: '{"tasks": [{{#events}}"{{data.task.name}}"{{^last}},{{/last}}{{/events}}]}',
    },
    rates: [],
    schema: null,
    bytes: whole,
    most: 1_000_000,
    taken: "",
    slowDown: null,
  },
  pagerduty: {
    settings: { format: "pagerduty", routing_key: new Secret("0123456789abcdef0123456789abcdef") },
    rates: [[120, 60_000]],
    schema: PAGERDUTY_ALERT,
    bytes: whole,
    most: 512 * 1024,
    taken: '{"status":"success"}',
    slowDown: null,
  },
  slack: { ...MEDIA.slack!, rates: [[1, 1_000]], taken: "ok", slowDown: null },
  teams: {
    ...MEDIA.teams!,
    rates: [[4, 1_000]],
    taken: "",
    slowDown: { body: "Webhook message delivery failed with error: HTTP error 429", ms: 10_000 },
  },
  feishu: {
    ...MEDIA.feishu!,
    rates: [
      [5, 1_000],
      [100, 60_000],
    ],
    taken: '{"code":0}',
    slowDown: { body: '{"code":11232,"msg":"frequency limited"}', ms: 10_000 },
  },
  dingtalk: {
    ...MEDIA.dingtalk!,
    rates: [[20, 60_000]],
    taken: '{"errcode":0}',
    slowDown: { body: '{"errcode":130101,"errmsg":"send too fast"}', ms: 60_000 },
  },
  wecom: {
    ...MEDIA.wecom!,
    rates: [[20, 60_000]],
    taken: '{"errcode":0}',
    slowDown: { body: '{"errcode":45009,"errmsg":"api freq out of limit"}', ms: 60_000 },
  },
};

const groupBy = (...by: GroupConfig["by"]): GroupConfig => ({ by, wait: 10_000, interval: 300_000 });
const GROUPS: Readonly<Record<string, GroupConfig | null>> = {
  none: null,
  instance: groupBy("instance"),
  project: groupBy("project"),
};

const CASES = Object.entries(KINDS).flatMap(([kind, settings]) =>
  Object.entries(GROUPS)
    .filter(([, group]) => group === null || !["cloudevents", "pagerduty"].includes(kind))
    .map(([by, group]) => ({ kind, by, group, settings })),
);

const ajv = new Ajv({ strict: true, allowUnionTypes: true });
const rows: string[][] = [];

async function flood(
  settings: Partial<WebhookConfig>,
  instances: number,
  reply: (request: number) => string,
) {
  await using bench = new Workbench();
  const receiver = await startReceiver();
  try {
    const began = bench.clock.now();
    const sent: { readonly at: number; readonly body: string; readonly taken: boolean }[] = [];
    let held = 0;
    receiver.otherwise(({ body }) => {
      held = Math.max(held, bench.outbox.held);
      const answer = reply(sent.length);
      sent.push({ at: bench.clock.now() - began, body, taken: !/429|11232|130101|45009/.test(answer) });
      return { status: 200, body: answer };
    });
    bench.leases = Array.from({ length: SHARDS }, (_, shard) => lease(shard));
    bench.start(webhookConfig(receiver.url, settings));
    for (let n = 0; n < instances; n++) {
      const data = {
        ...taskNamed(`task-${n}-`, `8abfa7b372160bfd01721658640${n}`),
        instance: {
          id: `6ec6cf7a-0c83-4b3c-9b3f-${n}`,
          name: `orders-${n % 20}`,
          engine: "kafka" as const,
          status: null,
        },
      };
      bench.putEvent(event("task.failed", data, `evt_${n}`), { lane: `t${n}`, shard: n % SHARDS });
      if (n % (instances / 10) !== 0) continue;
      let over = false;
      void bench.clock.sleep(100).then(() => {
        over = true;
      });
      await bench.advanceSending(() => over);
    }
    await bench.advanceSending(() => bench.outbox.rows.length === 0);
    return { sent, held, dead: bench.outbox.dead, minutes: (bench.clock.now() - began) / 60_000 };
  } finally {
    await receiver.close();
  }
}

const tasksIn = (body: string): string[] => [...new Set(body.match(/task-\d+-/g))];

/** The most within any `ms`. */
function busiest(times: readonly number[], ms: number): number {
  return Math.max(...times.map((from) => times.filter((at) => at >= from && at - from < ms).length));
}

describe(`${INSTANCES} instances fail within a second`, { timeout: 120_000 }, () => {
  test.each(CASES)("$kind, grouped by $by", async ({ kind, by, group, settings: medium }) => {
    const { slowDown } = medium;
    // The third request is one too many.
    const reply = (request: number) => (request === 2 && slowDown !== null ? slowDown.body : medium.taken);
    const { sent, held, dead, minutes } = await flood({ ...medium.settings, group }, INSTANCES, reply);

    const valid = medium.schema === null ? null : ajv.compile(medium.schema);
    for (const { body } of sent) {
      expect(medium.bytes(body)).toBeLessThanOrEqual(medium.most);
      if (valid !== null && !valid(JSON.parse(body))) expect(valid.errors).toBeNull();
    }
    const times = sent.map(({ at }) => at);
    for (const [requests, ms] of medium.rates) expect(busiest(times, ms)).toBeLessThanOrEqual(requests);
    const tooMuch = sent.find(({ taken }) => !taken);
    if (tooMuch !== undefined)
      // What was on its way already arrives.
      expect(times.filter((at) => at > tooMuch.at + 500 && at < tooMuch.at + (slowDown?.ms ?? 0))).toEqual(
        [],
      );

    const told = sent.filter(({ taken }) => taken).flatMap(({ body }) => tasksIn(body));
    expect(new Set(told).size).toBe(INSTANCES);
    expect(told).toHaveLength(INSTANCES);
    expect(dead).toEqual([]);
    expect(held).toBeLessThanOrEqual(group === null ? HELD.alone : HELD.grouped);

    const rate = medium.rates.map(([requests, ms]) => `${busiest(times, ms)}/${requests} in ${ms / 1_000} s`);
    const largest = Math.max(...sent.map(({ body }) => medium.bytes(body)));
    rows.push([
      kind,
      by,
      `${sent.length}`,
      `${told.length}`,
      `${largest}/${medium.most}`,
      rate.join(", ") || "-",
      `${held}`,
      minutes.toFixed(1),
    ]);
  });

  test("ten times as many are no more in memory", async () => {
    for (const [settings, most] of [
      [{}, HELD.alone],
      [{ ...KINDS.template!.settings, group: groupBy("instance") }, HELD.grouped],
    ] as const) {
      const { held, sent } = await flood(settings, INSTANCES * 10, () => "");
      expect(new Set(sent.flatMap(({ body }) => tasksIn(body))).size).toBe(INSTANCES * 10);
      expect(held).toBeLessThanOrEqual(most);
    }
  });

  afterAll(() => {
    const titles = [
      "format",
      "group by",
      "requests",
      "events",
      "largest, bytes",
      "busiest",
      "held",
      "minutes",
    ];
    const widths = titles.map((title, n) =>
      Math.max(title.length, ...rows.map((row) => row[n]?.length ?? 0)),
    );
    const line = (cells: readonly string[]) => cells.map((cell, n) => cell.padEnd(widths[n] ?? 0)).join("  ");
    console.log([titles, ...rows].map(line).join("\n"));
  });
});
