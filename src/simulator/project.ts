import { z } from "zod";
import { keyPair } from "./keys.ts";
import { type Dialect, dialect, dialectChange } from "./pages.ts";
import type { TaskList } from "./task-list.ts";
import { instant } from "./time.ts";

export const ENGINES = ["kafka", "rabbitmq", "rocketmq"] as const;
export type Engine = (typeof ENGINES)[number];

export const newInstance = z.strictObject({
  id: z.string().optional(),
  name: z.string().optional(),
  engine: z.enum(ENGINES).default("kafka"),
  status: z.string().default("RUNNING"),
  enterprise_project_id: z.string().default("0"),
  created_at: instant.optional(),
  /** The most tasks it keeps; the oldest finished ones make room. */
  keep_tasks: z.int().positive().default(10_000),
});
export type NewInstance = z.input<typeof newInstance>;

/** What of an instance can be changed. */
export const instanceChange = z.strictObject({
  status: z.string().optional(),
  /** False: left out of the instance list, though its own calls are answered. */
  listed: z.boolean().optional(),
});
export type InstanceChange = z.input<typeof instanceChange>;

const user = z.strictObject({ name: z.string(), password: z.string(), domain: z.string() });

export const newProject = z.strictObject({
  id: z.string().optional(),
  /** The project's name in IAM: a region's name, or `region_sub`. */
  name: z.string().default("eu-west-101"),
  keys: z.array(keyPair).default([]),
  users: z.array(user).default([]),
  instances: z.array(newInstance).default([]),
  dialect: dialect.prefault({}),
  /** Requests per second before 429; null: no limit. */
  requests_per_second: z.number().positive().nullable().default(null),
});
export type NewProject = z.input<typeof newProject>;

/** What of a project can be changed; what is not named stays. */
export const projectChange = z.strictObject({
  dialect: dialectChange.optional(),
  requests_per_second: z.number().positive().nullable().optional(),
});
export type ProjectChange = z.input<typeof projectChange>;

export interface Instance {
  readonly id: string;
  readonly name: string;
  readonly engine: Engine;
  readonly createdAt: number;
  readonly enterpriseProjectId: string;
  status: string;
  listed: boolean;
  readonly tasks: TaskList;
  readonly scheduled: TaskList;
  /** Pages of the list served since its first page was last asked for. */
  pages: number;
}

export interface Project {
  readonly id: string;
  readonly name: string;
  readonly users: z.output<typeof user>[];
  readonly instances: Map<string, Instance>;
  dialect: Dialect;
  requestsPerSecond: number | null;
  /** Times of the requests let through in the last second. */
  readonly recent: number[];
}

/** An instance and the project that has it. */
export interface InstanceOf {
  readonly project: Project;
  readonly instance: Instance;
}

export const DEMO_KEY = {
  access_key: "SIMULATORACCESSKEY00",
  secret_key: "SimulatorSecretKey0000000000000000000000",
};
export const DEFAULT_PROJECT_ID = "0605768a3300d5762fd0c002e2bbd3f9";
