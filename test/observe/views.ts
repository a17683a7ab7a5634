import type { InstanceRecord, TaskState } from "../../src/core/state.ts";
import { NO_FIELDS } from "../../src/core/task-fields.ts";
import type { InstanceView } from "../../src/observe/view.ts";

export const T0 = Date.parse("2026-11-24T10:00:00Z");

export const record = (over: Partial<InstanceRecord> = {}): InstanceRecord => ({
  projectId: "0605768a3300d5762fd0c002e2bbd3f9",
  instanceId: "6ec6cf7a-0c83-4b3c-9b3f-1f0f1f3ab001",
  name: "orders",
  engine: "kafka",
  discovered: false,
  baselineAt: T0 - 86_400_000,
  lastCompleteAt: T0 - 30_000,
  lastSweepAt: null,
  prunedBefore: null,
  removals: 0,
  unreachable: null,
  counts: {},
  ended: [],
  scheduled: [],
  leftOutSince: null,
  ...over,
});

export const task = (over: Partial<TaskState> = {}): TaskState => ({
  id: "8abfa7b372160bfd0172165864064079",
  name: "modifyAutoTopic",
  status: "EXECUTING",
  ...NO_FIELDS,
  createdAt: T0 - 600_000,
  updatedAt: T0 - 300_000,
  seenAt: T0 - 590_000,
  sequence: 1,
  counts: {},
  verdict: null,
  failedAt: null,
  acknowledged: null,
  informed: [],
  executed: true,
  unlisted: false,
  scheduleAt: null,
  progress: null,
  muted: null,
  ...over,
});

export const view = (over: Partial<InstanceView> = {}): InstanceView => ({
  project: { name: "prod", region: "eu-west-101" },
  record: record(),
  tasks: [],
  up: true,
  lastPollAt: T0 - 15_000,
  lastCompleteAt: T0 - 30_000,
  intervalSeconds: 60,
  failures: 0,
  maintenance: false,
  scheduled: null,
  removedAt: null,
  ...over,
});
