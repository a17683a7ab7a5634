import type { z } from "zod";
import type { Shift } from "./fault-rules.ts";
import { KeyRing } from "./keys.ts";
import {
  DEFAULT_PROJECT_ID,
  type Instance,
  type InstanceOf,
  type newInstance,
  type newProject,
  type Project,
} from "./project.ts";
import { hexId, seededRandom, uuid } from "./random.ts";
import { Ring } from "./ring.ts";
import { TaskList } from "./task-list.ts";
import {
  changeTask,
  makeTask,
  type newTask,
  planOf,
  setStatus,
  type Task,
  type taskChange,
  VANISHES,
} from "./tasks.ts";
import { Timeline } from "./timeline.ts";

/** A change of a task as it happened; `from` null: created, `to` null: gone. */
export interface Transition {
  readonly seq: number;
  /** Epoch ms. */
  readonly time: number;
  readonly project: string;
  readonly instance: string;
  readonly task: string;
  readonly name: string;
  readonly from: string | null;
  readonly to: string | null;
}

/** The cloud that is simulated: projects, instances, tasks, keys, and what happens next. */
export class World {
  readonly keys = new KeyRing();
  readonly projects = new Map<string, Project>();
  /** What happened to tasks, for comparison with what a client reports. */
  readonly transitions: Ring<Omit<Transition, "seq">>;
  /** Steps that could not be done when their time came. */
  readonly problems = new Ring<{ readonly time: number; readonly message: string }>(100);
  readonly random: () => number;
  readonly #timeline = new Timeline();
  readonly #base: () => number;
  #offset = 0;
  /** Set while something runs that was due then. */
  #moment: number | null = null;
  #ids = 0;
  /** Part of made-up task ids, so that a simulator that is started again does not repeat them. */
  readonly #origin: number;

  constructor(base: () => number, seed: number, logSize: number) {
    this.#base = base;
    this.#origin = base();
    this.random = seededRandom(seed);
    this.transitions = new Ring(logSize);
  }

  /** Epoch ms by the simulator's clock; what was due until then has happened. */
  settle(): number {
    const now = this.now();
    this.#timeline.runUntil(now);
    return now;
  }

  /** Epoch ms by the simulator's clock; within something scheduled, the time it was due. */
  now(): number {
    return this.#moment ?? this.#base() + this.#offset;
  }

  advance(ms: number): void {
    this.#offset += ms;
  }

  /** An error that `run` throws is kept in `problems`. */
  schedule(at: number, run: () => void): void {
    this.#timeline.add(at, () => {
      const before = this.#moment;
      this.#moment = at;
      try {
        run();
      } catch (error) {
        this.problems.add({ time: at, message: error instanceof Error ? error.message : String(error) });
      } finally {
        this.#moment = before;
      }
    });
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
      listed: true,
      tasks: new TaskList(input.keep_tasks),
      scheduled: new TaskList(input.keep_tasks),
      pages: 0,
    };
    project.instances.set(id, instance);
    return instance;
  }

  /** Creates a task now; its plan runs from its creation, so what lies in the past has happened at once. */
  addTask(place: InstanceOf, input: z.output<typeof newTask>): Task {
    const now = this.now();
    const task = makeTask(input, now, hexId(`task ${this.#origin} ${this.#ids++}`));
    listOf(place.instance, task).add(task);
    for (const [at, status] of planOf(task)) {
      const { plan } = task;
      if (at <= now) this.#apply(place, task, status, at);
      else this.schedule(at, () => (task.plan === plan ? this.endPhase(place, task, status, at) : undefined));
    }
    this.#record(place, task, null, task.status);
    return task;
  }

  /** Changes a task by hand. */
  changeTask(place: InstanceOf, task: Task, change: z.output<typeof taskChange>): void {
    const from = task.status;
    changeTask(task, change, this.now());
    if (task.status !== from) this.#record(place, task, from, task.status);
  }

  /** The task goes on to a status, or vanishes. */
  endPhase(place: InstanceOf, task: Task, status: string, at: number): void {
    const from = task.status;
    this.#apply(place, task, status, at);
    this.#record(place, task, from, status === VANISHES ? null : status);
  }

  removeTask(place: InstanceOf, task: Task): void {
    this.endPhase(place, task, VANISHES, this.now());
  }

  #apply(place: InstanceOf, task: Task, status: string, at: number): void {
    if (status === VANISHES) {
      task.plan = null;
      listOf(place.instance, task).remove(task);
    } else setStatus(task, status, at);
  }

  #record({ project, instance }: InstanceOf, task: Task, from: string | null, to: string | null): void {
    this.transitions.add({
      time: this.now(),
      project: project.id,
      instance: instance.id,
      task: task.id,
      name: task.name,
      from,
      to,
    });
  }

  /** Deletes and adds tasks at the moment between two pages. */
  shiftList(place: InstanceOf, shift: Shift): void {
    for (let left = shift.delete; left > 0; left--) {
      const task = place.instance.tasks.items.at(shift.from === "newest" ? -1 : 0);
      if (task) this.removeTask(place, task);
    }
    for (let left = shift.add; left > 0; left--) this.addTask(place, { name: "shifted" });
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
  instance(reference: string, projectReference?: string): InstanceOf {
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

function listOf(instance: Instance, task: Task): TaskList {
  return task.scheduleAt === null ? instance.tasks : instance.scheduled;
}
