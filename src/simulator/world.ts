import { z } from "zod";
import type { Shift } from "./faults.ts";
import { KeyRing, keyPair } from "./keys.ts";
import { type Dialect, dialect } from "./pages.ts";
import { hexId, seededRandom, uuid } from "./random.ts";
import { TaskList } from "./task-list.ts";
import { makeTask, type newTask, setStatus, type Task } from "./tasks.ts";
import { instant } from "./time.ts";
import { Timeline } from "./timeline.ts";

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

export const user = z.strictObject({ name: z.string(), password: z.string(), domain: z.string() });

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

export interface Instance {
  readonly id: string;
  readonly name: string;
  readonly engine: Engine;
  readonly createdAt: number;
  readonly enterpriseProjectId: string;
  status: string;
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

export const DEMO_KEY = {
  access_key: "SIMULATORACCESSKEY00",
  secret_key: "SimulatorSecretKey0000000000000000000000",
};
export const DEFAULT_PROJECT_ID = "0605768a3300d5762fd0c002e2bbd3f9";

/** The cloud that is simulated: projects, instances, tasks, keys, and what happens next. */
export class World {
  readonly keys = new KeyRing();
  readonly timeline = new Timeline();
  readonly projects = new Map<string, Project>();
  readonly random: () => number;
  readonly #base: () => number;
  #offset = 0;
  #ids = 0;
  /** Part of made-up task ids, so that a simulator that is started again does not repeat them. */
  readonly #origin: number;

  constructor(base: () => number, seed: number) {
    this.#base = base;
    this.#origin = base();
    this.random = seededRandom(seed);
  }

  /** Epoch ms by the simulator's clock; what was due until then has happened. */
  settle(): number {
    const now = this.now();
    this.timeline.runUntil(now);
    return now;
  }

  now(): number {
    return this.#base() + this.#offset;
  }

  advance(ms: number): void {
    this.#offset += ms;
  }

  addProject(input: z.output<typeof newProject>): Project {
    const id = input.id ?? (this.projects.size === 0 ? DEFAULT_PROJECT_ID : hexId(`project ${this.#ids++}`));
    const project: Project = {
      id,
      name: input.name,
      users: [...input.users],
      instances: new Map(),
      dialect: input.dialect,
      requestsPerSecond: input.requests_per_second,
      recent: [],
    };
    this.projects.set(id, project);
    for (const key of input.keys) this.keys.addKey(key, [id]);
    for (const instance of input.instances) this.addInstance(project, instance);
    return project;
  }

  addInstance(project: Project, input: z.output<typeof newInstance>): Instance {
    const id = input.id ?? uuid(`${project.id} instance ${this.#ids++}`);
    const instance: Instance = {
      id,
      name: input.name ?? id,
      engine: input.engine,
      createdAt: input.created_at ?? this.now(),
      enterpriseProjectId: input.enterprise_project_id,
      status: input.status,
      tasks: new TaskList(input.keep_tasks),
      scheduled: new TaskList(input.keep_tasks),
      pages: 0,
    };
    project.instances.set(id, instance);
    return instance;
  }

  /** Creates a task at `at`; its plan runs from its creation, so steps that lie in the past happen at once. */
  addTask(instance: Instance, input: z.output<typeof newTask>, at: number): Task {
    const task = makeTask(input, at, hexId(`task ${this.#origin} ${this.#ids++}`));
    const list = task.scheduleAt === null ? instance.tasks : instance.scheduled;
    list.add(task);
    this.#follow(task, list, at);
    return task;
  }

  #follow(task: Task, list: TaskList, at: number): void {
    const plan = task.plan;
    if (!plan) return;
    const starts = task.createdAt + plan.queuedFor;
    const go = (time: number, change: () => void): void => {
      if (time <= at) change();
      else this.timeline.add(time, () => (task.plan === plan ? change() : undefined));
    };
    if (task.status === "CREATED") go(starts, () => setStatus(task, "EXECUTING", starts));
    if (plan.runsFor === null) return;
    const ended = starts + plan.runsFor;
    go(ended, () => {
      if (plan.ends === "vanishes") list.remove(task);
      else setStatus(task, plan.ends, ended);
    });
  }

  /** Deletes and adds tasks at the moment between two pages. */
  shiftList(instance: Instance, shift: Shift): void {
    for (let left = shift.delete; left > 0; left--) {
      const task = instance.tasks.items.at(shift.from === "newest" ? -1 : 0);
      if (task) instance.tasks.remove(task);
    }
    for (let left = shift.add; left > 0; left--) this.addTask(instance, { name: "shifted" }, this.now());
  }

  /** By id or name, else the first. */
  project(reference?: string): Project {
    const all = [...this.projects.values()];
    const found =
      reference === undefined
        ? all[0]
        : (this.projects.get(reference) ?? all.find((p) => p.name === reference));
    if (found) return found;
    throw new Error(
      `unknown project ${JSON.stringify(reference)}; known: ${all.map((p) => `${p.id} (${p.name})`).join(", ")}`,
    );
  }

  /** By id or name in one project, or in the first that has it. */
  instance(reference: string, projectReference?: string): { project: Project; instance: Instance } {
    const projects =
      projectReference === undefined ? this.projects.values() : [this.project(projectReference)];
    for (const project of projects) {
      const instance = project.instances.get(reference) ?? findByName(project, reference);
      if (instance) return { project, instance };
    }
    throw new Error(`unknown instance ${JSON.stringify(reference)}`);
  }
}

function findByName(project: Project, name: string): Instance | undefined {
  for (const instance of project.instances.values()) if (instance.name === name) return instance;
  return undefined;
}
