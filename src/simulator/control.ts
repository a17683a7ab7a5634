import { z } from "zod";
import { type FaultRule, faultRule } from "./faults.ts";
import { type KeyPair, type KeyState, keyPair } from "./keys.ts";
import { dialect } from "./pages.ts";
import { type LoggedRequest, type RequestFilter, type WorstWindow, worstWindow } from "./request-log.ts";
import type { PageHook, Service } from "./service.ts";
import {
  changeTask,
  type NewTask,
  newTask,
  type Task,
  type TaskChange,
  taskChange,
  taskJson,
} from "./tasks.ts";
import { parseDuration } from "./time.ts";
import { type NewInstance, type NewProject, newInstance, newProject } from "./world.ts";

/** Where a task or an instance is: names or ids; without a project, the first that has the instance. */
export interface Place {
  readonly project?: string | undefined;
  readonly instance: string;
}

export interface Ids {
  readonly project: string;
  readonly instance: string;
  readonly task: string;
}

export const projectChange = z.strictObject({
  dialect: z.strictObject(dialect.partial().shape).optional(),
  requests_per_second: z.number().positive().nullable().optional(),
});
export type ProjectChange = z.input<typeof projectChange>;

/** What a test or a person can do to the simulated cloud. All input is checked; errors name the path. */
export class Control {
  readonly #service: Service;

  constructor(service: Service) {
    this.#service = service;
  }

  /** Epoch ms by the simulator's clock. */
  now(): number {
    return this.#service.world.settle();
  }

  /** Moves the clock on by ms or `1h30m`; what is due until then has happened. Returns the new time. */
  advance(by: number | string): number {
    const ms = parseDuration(by);
    if (ms === undefined)
      throw new Error(`advance: not a duration: ${JSON.stringify(by)}; allowed: 30s, 1h30m, ms`);
    this.#service.world.advance(ms);
    return this.now();
  }

  /** How far the Date header is ahead of the clock, ms. */
  setDateSkew(ms: number): void {
    this.#service.dateSkew = ms;
  }

  /** Creates a task; its status then follows the plan it was given. */
  createTask(place: Place, task: NewTask): Ids {
    const now = this.now();
    const { project, instance } = this.#service.world.instance(place.instance, place.project);
    const created = this.#service.world.addTask(instance, parse(newTask, task, "task"), now);
    return { project: project.id, instance: instance.id, task: created.id };
  }

  /** Changes a task by hand; a new status ends its plan. */
  updateTask(place: Place, id: string, change: TaskChange): void {
    changeTask(this.#find(place, id), parse(taskChange, change, "task"), this.now());
  }

  /** The task is gone from every list. */
  deleteTask(place: Place, id: string): void {
    const task = this.#find(place, id);
    const { instance } = this.#service.world.instance(place.instance, place.project);
    if (!instance.tasks.remove(task)) instance.scheduled.remove(task);
  }

  /** The tasks of an instance as they are served, newest first; the scheduled ones are apart. */
  tasks(place: Place, list: "tasks" | "scheduled" = "tasks"): Record<string, unknown>[] {
    this.now();
    const { instance } = this.#service.world.instance(place.instance, place.project);
    return instance[list].items
      .map((task) => JSON.parse(taskJson(task)) as Record<string, unknown>)
      .reverse();
  }

  /** Returns the id. */
  addProject(project: NewProject): string {
    return this.#service.world.addProject(parse(newProject, project, "project")).id;
  }

  /** Changes dialect and rate limit; what is not named stays. */
  setProject(change: ProjectChange, reference?: string): void {
    const project = this.#service.world.project(reference);
    const parsed = parse(projectChange, change, "project");
    const given = Object.entries(change.dialect ?? {}).filter(([, value]) => value !== undefined);
    if (parsed.dialect)
      project.dialect = parse(dialect, { ...project.dialect, ...Object.fromEntries(given) }, "dialect");
    if (parsed.requests_per_second !== undefined) project.requestsPerSecond = parsed.requests_per_second;
  }

  /** Returns the id. */
  addInstance(instance: NewInstance, project?: string): string {
    const world = this.#service.world;
    return world.addInstance(world.project(project), parse(newInstance, instance, "instance")).id;
  }

  /** The instance is gone; its calls answer 404 with DMS.00404022. */
  removeInstance(place: Place): void {
    const { project, instance } = this.#service.world.instance(place.instance, place.project);
    project.instances.delete(instance.id);
  }

  /** Returns the rule's id. One with the same id is replaced. */
  addFault(rule: FaultRule): string {
    return this.#service.faults.add(parse(faultRule, rule, "fault"), this.now());
  }

  /** Removes one rule, or all. */
  clearFaults(id?: string): void {
    this.#service.faults.clear(id);
  }

  faults(): { id: string; kind: string; hits: number }[] {
    return this.#service.faults.list();
  }

  /** Adds a key pair to the projects named, or to all. An old pair stays valid until it is revoked. */
  addKey(pair: KeyPair, projects?: readonly string[]): void {
    const { world } = this.#service;
    const ids = projects?.map((name) => world.project(name).id) ?? world.projects.keys();
    world.keys.addKey(parse(keyPair, pair, "key"), ids);
  }

  revokeKey(accessKey: string): void {
    if (!this.#service.world.keys.revoke(accessKey))
      throw new Error(`unknown access key ${JSON.stringify(accessKey)}`);
  }

  /** Every key with its failures in a row and its lock. */
  keys(): KeyState[] {
    return this.#service.world.keys.states(this.now());
  }

  /** Lets a ready token in; default: in all projects, for 24 hours. */
  addToken(token: string, expiresAt?: number, projects?: readonly string[]): void {
    const { world } = this.#service;
    const ids = projects?.map((name) => world.project(name).id) ?? world.projects.keys();
    world.keys.addToken(token, ids, expiresAt ?? this.now() + 86_400_000);
  }

  /** All tokens answer APIGW.0307 from now on. */
  expireTokens(): void {
    this.#service.world.keys.expireTokens();
  }

  /** New agency keys at once; the ones before stay valid until their end. Returns the new access key. */
  rotateAgencyKeys(): string {
    return this.#service.metadata.rotate(this.now()).access;
  }

  /** Called after each page of a task list was made, before it is sent; null: no more. */
  onPage(hook: PageHook | null): void {
    this.#service.pageHook = hook;
  }

  /** The last requests, oldest first. */
  requests(filter?: RequestFilter): LoggedRequest[] {
    return this.#service.log.list(filter);
  }

  /** Requests since the start or the last clear, also those no longer in the log. */
  requestCount(): number {
    return this.#service.log.total;
  }

  clearRequests(): void {
    this.#service.log.clear();
  }

  /** The most requests within any window of so many ms, over what is in the log. */
  worstWindow(filter?: RequestFilter, lengthMs = 1000): WorstWindow {
    return worstWindow(
      this.requests(filter).map((request) => request.time),
      lengthMs,
    );
  }

  /** Back to what the simulator was started with: projects, keys, clock, faults, log, and no script. */
  reset(): void {
    this.#service.reset();
  }

  #find(place: Place, id: string): Task {
    this.now();
    const { instance } = this.#service.world.instance(place.instance, place.project);
    const task = instance.tasks.get(id) ?? instance.scheduled.get(id);
    if (task) return task;
    throw new Error(`unknown task ${JSON.stringify(id)} of instance ${JSON.stringify(place.instance)}`);
  }
}

function parse<T extends z.ZodType>(schema: T, input: unknown, what: string): z.output<T> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => `${[what, ...issue.path].join(".")}: ${issue.message}`);
  throw new Error(issues.join("; "));
}
