import { cloudEvent } from "../core/cloudevent.ts";
import type { EventData, TaskwatchEvent } from "../core/event.ts";
import { shownTaskFields } from "../core/task-fields.ts";

/*
 * What a template is tried on when it is loaded: an event in which nothing is missing, with values that need
 * escaping everywhere; then one in which all is null that can be.
 */

const TIME = Date.UTC(2026, 0, 2, 3, 4, 5);
const AT = new Date(TIME).toISOString();

const FULL: EventData = {
  reason: `status EXECUTING -> FAILED, "quoted" <b> & \\ 'done'`,
  project: { name: "prod", id: "0605768a3300d5762fd0c002e2bbd3f9", region: "eu-west-101" },
  instance: {
    id: "6ec6cf7a-0c83-4b3c-9b3f-1f0f1f3ab001",
    name: "orders",
    engine: "kafka",
    status: "RUNNING",
  },
  task: {
    id: "8abfa7b372160bfd0172165864064079",
    name: "modifyAutoTopic",
    status: "FAILED",
    ...shownTaskFields(({ kind }) => ({ name: "paas_dms", time: AT, params: '{"topic": "a"}' })[kind]),
  },
  previous_status: "EXECUTING",
  sequence: 2,
  duration_seconds: 312.4,
  verdict: "running_too_long",
  previous_verdict: "queued_too_long",
  threshold: { seconds: 1200, source: "by_task", samples: 41 },
  was_stuck: true,
  recovered_from: "failure",
  resolution: "later_success",
  resolved_by: { task_id: "8abfa7b372160bfd0172165864064080" },
  progress_ratio: 0.5,
  cause: "timeout",
  error_code: "DMS.00500000",
  request_id: "5df1a1b2c3d4e5f60718293a4b5c6d7e",
  since: AT,
  muted: true,
  muted_until: AT,
  silence: null,
  diagnosis: null,
  url: "https://taskwatch.example.org/#/tasks/8abfa7b372160bfd0172165864064079",
};

const BARE: EventData = {
  ...(Object.fromEntries(Object.keys(FULL).map((key) => [key, null])) as unknown as EventData),
  reason: "the project answers again",
  project: FULL.project,
  was_stuck: false,
  muted: false,
};

const event = (type: TaskwatchEvent["type"], data: EventData): TaskwatchEvent => ({
  id: "evt_00000000000000000000000000000000",
  type,
  time: TIME,
  webhooks: [],
  data,
});

export const fullSample = (): string => cloudEvent(event("task.failed", FULL));
export const bareSample = (): string => cloudEvent(event("project.reachable", BARE));

/** For the names alone: both forms of `resolved_by`. */
export const namesSample = (): unknown => {
  const sample = JSON.parse(fullSample()) as { data: { resolved_by: object } };
  return { ...sample, data: { ...sample.data, resolved_by: { task_id: "", user: "" } } };
};
