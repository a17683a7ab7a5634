import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Alertmanager, type Labels } from "./alertmanager.ts";
import { configDir, PER_INSTANCE, readRules } from "./config-files.ts";
import { run } from "./tool.ts";

const configFile = `${configDir}alertmanager.yml`;

test("amtool accepts the configuration", async () => {
  const outcome = await run("amtool", ["check-config", configFile]);
  expect(outcome.code, outcome.output).toBe(0);
});

test.each(readRules().map((rule) => [rule.alert, rule.labels.severity!] as const))(
  "%s goes where its severity belongs",
  async (alertname, severity) => {
    const receiver = severity === "critical" ? "page" : "chat";
    const outcome = await run("amtool", [
      "config",
      "routes",
      "test",
      `--config.file=${configFile}`,
      `--verify.receivers=${receiver}`,
      `alertname=${alertname}`,
      `severity=${severity}`,
      "job=taskwatch",
    ]);
    expect(outcome.code, outcome.output).toBe(0);
  },
);

test("an alert of an unknown severity is not lost", async () => {
  const outcome = await run("amtool", [
    "config",
    "routes",
    "test",
    `--config.file=${configFile}`,
    "--verify.receivers=chat",
    "alertname=Other",
  ]);
  expect(outcome.code, outcome.output).toBe(0);
});

// Each case has a job, a project and a webhook of its own, and beside them one of another; so all cases share a server.
const OF_PROJECT = [
  ...PER_INSTANCE,
  "TaskwatchOverloaded",
  "TaskwatchCredentialsRejected",
  "TaskwatchThrottled",
  "TaskwatchProjectNotWatched",
  "TaskwatchDiscoveryFailing",
];
const OF_WEBHOOK = ["TaskwatchWebhookBacklog", "TaskwatchWebhookDisabled", "TaskwatchDeadLetters"];

const INHIBITED: Readonly<Record<string, readonly string[]>> = {
  TaskwatchCredentialsRejected: [
    "DmsInstanceUnreachable",
    "TaskwatchPollingStale",
    "TaskwatchOverloaded",
    "TaskwatchThrottled",
    "TaskwatchProjectNotWatched",
    "TaskwatchDiscoveryFailing",
  ],
  TaskwatchProjectNotWatched: ["TaskwatchDiscoveryFailing"],
  TaskwatchThrottled: ["DmsInstanceUnreachable", "TaskwatchPollingStale", "TaskwatchOverloaded"],
  TaskwatchOverloaded: ["TaskwatchPollingStale"],
  TaskwatchDown: [
    "DmsInstanceUnreachable",
    "TaskwatchPollingStale",
    "TaskwatchReplicaDown",
    "TaskwatchShardsUnowned",
    "TaskwatchStoreDown",
    "TaskwatchProjectNotWatched",
    "TaskwatchDiscoveryFailing",
    "TaskwatchWebhookBacklog",
    "TaskwatchOverloaded",
    "TaskwatchThrottled",
  ],
  TaskwatchStoreDown: [
    "DmsInstanceUnreachable",
    "TaskwatchPollingStale",
    "TaskwatchShardsUnowned",
    "TaskwatchReplicaDown",
    "TaskwatchProjectNotWatched",
    "TaskwatchDiscoveryFailing",
    "TaskwatchWebhookBacklog",
  ],
  TaskwatchShardsUnowned: ["TaskwatchPollingStale"],
  TaskwatchWebhookDisabled: ["TaskwatchDeadLetters", "TaskwatchWebhookBacklog"],
};

/** The labels of an alert in the world of one case. */
function labelsOf(alertname: string, world: string): Labels {
  return {
    alertname,
    job: world,
    severity: readRules().find((rule) => rule.alert === alertname)!.labels.severity!,
    ...(OF_PROJECT.includes(alertname) ? { project: world } : {}),
    ...(PER_INSTANCE.includes(alertname) ? { instance_id: "i1" } : {}),
    ...(OF_WEBHOOK.includes(alertname) ? { webhook: world } : {}),
  };
}

describe("a running Alertmanager", () => {
  let server: Alertmanager;
  beforeAll(async () => {
    server = await Alertmanager.start(configFile);
  });
  afterAll(() => server?.stop());

  test.each(readRules().map((rule) => rule.alert))(
    "inhibits by %s what it explains, and nothing else",
    async (source) => {
      const others = readRules()
        .map((rule) => rule.alert)
        .filter((alert) => alert !== source);
      const expected = INHIBITED[source] ?? [];
      // The others stand alone in pairs of worlds: with the source, and in one where nothing is wrong but themselves.
      const posted = others.flatMap((other) => {
        const world = `${source}-${other}`;
        return [labelsOf(source, world), labelsOf(other, world), labelsOf(other, `${world}-elsewhere`)];
      });
      await server.post(posted);
      await vi.waitFor(
        async () => {
          const held = await server.alerts();
          const inhibited = held
            .filter(({ labels }) => labels.job!.startsWith(`${source}-`) && labels.alertname !== source)
            .filter(({ inhibitedBy }) => inhibitedBy.some(({ alertname }) => alertname === source))
            .map(({ labels }) => labels);
          expect(inhibited.map((labels) => labels.alertname).sort()).toEqual([...expected].sort());
          for (const labels of inhibited) expect(labels.job).not.toMatch(/elsewhere$/);
        },
        { timeout: 10_000, interval: 50 },
      );
    },
  );

  test("what the daemon posts itself, without a job, is inhibited by its project's credentials", async () => {
    const labels = {
      alertname: "DmsInstanceUnreachable",
      project: "posted",
      instance_id: "i1",
      severity: "warning",
    };
    await server.post([labels, labelsOf("TaskwatchCredentialsRejected", "posted")]);
    await vi.waitFor(
      async () => {
        const mine = (await server.alerts()).find(
          (alert) => alert.labels.project === "posted" && alert.labels.instance_id === "i1",
        );
        expect(mine?.inhibitedBy.map(({ alertname }) => alertname)).toEqual(["TaskwatchCredentialsRejected"]);
      },
      { timeout: 10_000, interval: 50 },
    );
  });
});
