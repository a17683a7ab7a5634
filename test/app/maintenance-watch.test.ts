import { expect, test } from "vitest";
import { MaintenanceWatch } from "../../src/app/maintenance-watch.ts";
import { commonRules } from "../../src/app/rules.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { RuntimeEvent } from "../../src/ports/telemetry.ts";

const SECOND = 1_000;

async function configured(maintenance: readonly unknown[]) {
  const project = {
    name: "p",
    region: "r",
    credentials: { access_key: "a", secret_key: "s" },
    instances: [{ id: "i" }],
  };
  const loaded = await loadConfig({
    path: "t.yaml",
    env: {},
    readFile: async () => Buffer.from(JSON.stringify({ projects: [project], maintenance })),
  });
  if (!loaded.ok) throw new Error("the configuration is wrong");
  return { config: loaded.config, common: commonRules(loaded.config) };
}

/** What is told, by second, between two moments. */
function told(watch: MaintenanceWatch, events: RuntimeEvent[], from: string, to: string): string[] {
  const lines: string[] = [];
  for (let now = Date.parse(from); now <= Date.parse(to); now += SECOND) {
    watch.look(now + 137);
    for (const event of events.splice(0)) {
      const window = "window" in event ? event.window : "";
      const until = "until" in event ? ` until ${new Date(event.until).toISOString()}` : "";
      lines.push(`${new Date(now).toISOString()} ${event.kind} ${window}${until}`);
    }
  }
  return lines;
}

test.each([
  {
    change: "in spring, when the clock skips an hour",
    from: "2026-03-29T00:59:00Z",
    to: "2026-03-29T04:01:00Z",
    expected: [
      "2026-03-29T01:00:00.000Z maintenance.opened maintenance[0] until 2026-03-29T04:00:00.000Z",
      "2026-03-29T04:00:00.000Z maintenance.closed maintenance[0]",
    ],
  },
  {
    change: "in autumn, when it repeats one",
    from: "2026-10-24T23:59:00Z",
    to: "2026-10-25T05:01:00Z",
    expected: [
      "2026-10-25T00:00:00.000Z maintenance.opened maintenance[0] until 2026-10-25T05:00:00.000Z",
      "2026-10-25T05:00:00.000Z maintenance.closed maintenance[0]",
    ],
  },
])(
  "a weekly window is told once when it opens and once when it closes $change",
  async ({ from, to, expected }) => {
    const events: RuntimeEvent[] = [];
    const watch = new MaintenanceWatch((event) => events.push(event));
    const { config, common } = await configured([
      { days: ["sun"], from: "01:00", to: "05:00", timezone: "Europe/Dublin" },
    ]);
    watch.apply(config, common);
    expect(told(watch, events, from, to)).toEqual(expected);
  },
);

test("a window that moves within the list says nothing, one that is taken out closes", async () => {
  const events: RuntimeEvent[] = [];
  const watch = new MaintenanceWatch((event) => events.push(event));
  const window = { start: "2026-12-01T22:00:00Z", end: "2026-12-02T02:00:00Z" };
  const past = { start: "2020-12-01T22:00:00Z", end: "2020-12-02T02:00:00Z" };
  const at = (time: string) => told(watch, events, time, time).map((line) => line.slice(25));
  const apply = async (windows: readonly unknown[]) => {
    const { config, common } = await configured(windows);
    watch.apply(config, common);
  };
  await apply([window]);
  expect(at("2026-12-01T23:00:00Z")).toEqual([
    "maintenance.opened maintenance[0] until 2026-12-02T02:00:00.000Z",
  ]);
  await apply([past, window]);
  expect(at("2026-12-01T23:00:01Z")).toEqual([]);
  await apply([past]);
  expect(at("2026-12-01T23:00:02Z")).toEqual(["maintenance.closed maintenance[0]"]);
});
