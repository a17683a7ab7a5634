import { DEFAULT_PROJECT_ID, DEMO_KEY } from "./project.ts";
import { uuid } from "./random.ts";
import type { Scenario } from "./scenario.ts";

const ORDERS = "modifyAutoTopic";
const REASSIGN = "partitionReassign";
const HISTORY = [
  { instance: "orders", names: [ORDERS, "kafkaConfigModify", "changeRetentionPolicy"] },
  { instance: "billing", names: ["enablePlugin", "unbindInstancePublicIp"] },
  { instance: "telemetry", names: ["deleteTopics", "changeSslSetting"] },
];

/**
 * Three instances. Within 30 s of the start some tasks succeed and one fails; one hangs since three hours ago, a long
 * one makes progress, and one is scheduled. Then a calm flow goes on for ever, with a failure now and again that a later
 * success resolves.
 */
export function demoScenario(): Scenario {
  const instance = (name: string, engine: "kafka" | "rabbitmq" | "rocketmq") => ({
    id: uuid(`demo ${name}`),
    name,
    engine,
    keep_tasks: 100,
  });
  return {
    projects: [
      {
        id: DEFAULT_PROJECT_ID,
        keys: [DEMO_KEY],
        instances: [
          instance("orders", "kafka"),
          instance("billing", "rabbitmq"),
          instance("telemetry", "rocketmq"),
        ],
      },
    ],
    steps: [...history(), ...firstHalfMinute(), ...steadyFlow()],
  };
}

type Steps = NonNullable<Scenario["steps"]>;

/** What the day before has left, so that pictures of it are not empty. */
function history(): Steps {
  return HISTORY.flatMap(({ instance, names }, lane) =>
    Array.from({ length: 9 }, (_, n) => ({
      instance,
      task: {
        name: names[n % names.length],
        created_ago: ((n + 1) * 150 + lane * 35) * 60_000,
        runs_for: (45 + 40 * ((n + lane) % 4)) * 1000,
        ends: n === 5 && lane === 2 ? "FAILED" : "SUCCESS",
      },
    })),
  );
}

function firstHalfMinute(): Steps {
  return [
    { instance: "billing", task: { name: "restartInstance", created_ago: "3h", runs_for: "forever" } },
    {
      instance: "orders",
      task: { name: "storageExpansion", created_ago: "100m", runs_for: "150m", progress: "plan" },
    },
    {
      at: "+0s",
      every: "6h",
      instance: "orders",
      task: { name: REASSIGN, scheduled_in: "5h", runs_for: "40m" },
    },
    {
      at: "+3s",
      instance: "orders",
      task: { name: ORDERS, queued_for: "2s", runs_for: "5s", params: AUTO_TOPIC },
    },
    { at: "+5s", instance: "telemetry", task: { name: "deleteTopics", runs_for: "8s" } },
    {
      at: "+9s",
      instance: "orders",
      task: {
        name: "changeRetentionPolicy",
        queued_for: "1s",
        runs_for: "9s",
        ends: "FAILED",
        params: RETENTION,
      },
    },
    {
      at: "+14s",
      instance: "telemetry",
      task: { name: "changeSslSetting", queued_for: "2s", runs_for: "10s" },
    },
  ];
}

function steadyFlow(): Steps {
  return [
    {
      at: "+35s",
      every: "45s",
      instance: "orders",
      task: { name: ORDERS, queued_for: "3s", runs_for: "14s", params: AUTO_TOPIC },
    },
    {
      at: "+50s",
      every: "70s",
      instance: "telemetry",
      task: { name: "deleteTopics", queued_for: "2s", runs_for: "25s" },
    },
    { at: "+65s", every: "2m", instance: "billing", task: { name: "enablePlugin", runs_for: "40s" } },
    {
      at: "+6m",
      every: "20m",
      instance: "orders",
      task: { name: "changeRetentionPolicy", queued_for: "1s", runs_for: "20s", params: RETENTION },
    },
    {
      at: "+16m",
      every: "20m",
      instance: "orders",
      task: { name: "changeRetentionPolicy", runs_for: "12s", ends: "FAILED", params: RETENTION },
    },
  ];
}

const AUTO_TOPIC = { old_auto_status: true, new_auto_status: false };
const RETENTION = { new_retention_policy: "produce_reject", origin_retention_policy: "time_base" };
