import { z } from "zod";
import { type FaultRule, faultRule } from "./fault-rules.ts";
import { type KeyPair, type KeyState, keyPair } from "./keys.ts";
import { type LoadInput, loadOptions, startLoad } from "./load.ts";
import { changeDialect } from "./pages.ts";
import { problemsOf } from "./problems.ts";
import {
  type InstanceChange,
  type InstanceOf,
  instanceChange,
  type NewInstance,
  type NewProject,
  newInstance,
  newProject,
  type ProjectChange,
  projectChange,
} from "./project.ts";
import {
  type LoggedRequest,
  matchesRequest,
  type RequestFilter,
  type WorstWindow,
  worstWindow,
} from "./request-log.ts";
import type { PageHook, Service } from "./service.ts";
import { runStep, type StepInput, step } from "./step.ts";
import { type NewTask, newTask, type Task, type TaskChange, taskChange, taskJson } from "./tasks.ts";
import { milliseconds } from "./time.ts";
import type { Transition } from "./world.ts";

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

/** What a test or a person can do to the simulated cloud. All input is checked; errors name the path. */
export class Control {
  readonly #service: Service;

  /** Run again by `reset`. */
  readonly #script: readonly StepInput[];

  /** @param script steps to begin with */
  constructor(service: Service, script: readonly StepInput[] = []) {
    this.#service = service;
    this.#script = script;
    this.run(script);
  }

  /**
   * Does steps: those without a time, or whose time has come, at once and in order; the others when their time has
   * come. Nothing is done when one of them is not valid. Returns what each gave, null for those that wait.
   */
  run(steps: readonly StepInput[]): unknown[] {
    const parsed = parse(z.array(step), steps, "steps");
    const start = this.now();
    return parsed.map((one, index) => {
      try {
        return runStep(this, this.#service.world, one, start);
      } catch (error) {
        throw new Error(`steps.${index}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      }
    });
  }

  /** Makes instances, each with a history, and changes their tasks at a steady rate from now on. */
  addLoad(load: LoadInput, project?: string): void {
    this.now();
    const { world } = this.#service;
    startLoad(world, world.project(project), parse(loadOptions, load, "load"));
  }

  /** Epoch ms by the simulator's clock. */
  now(): number {
    return this.#service.world.settle();
  }

  /** Moves the clock on by ms or `1h30m`; what is due until then has happened. Returns the new time. */
  advance(by: number | string): number {
    const ms = milliseconds(by);
    if (ms === undefined)
      throw new Error(`advance: not a duration: ${JSON.stringify(by)}; allowed: 30s, 1h30m, ms`);
    this.#service.world.advance(ms);
    return this.now();
  }

  /** Projects with their dialect, limit and instances. */
  projects(): Record<string, unknown>[] {
    this.now();
    return [...this.#service.world.projects.values()].map((project) => ({
      id: project.id,
      name: project.name,
      dialect: project.dialect,
      requests_per_second: project.requestsPerSecond,
      instances: [...project.instances.values()].map(({ id, name, engine, tasks }) => ({
        id,
        name,
        engine,
        tasks: tasks.items.length,
      })),
    }));
  }

  /** How far the Date header is ahead of the clock, ms. */
  setDateSkew(ms: number): void {
    this.#service.dateSkew = ms;
  }

  /** Creates a task; its status then follows the plan it was given. */
  createTask(place: Place, task: NewTask): Ids {
    this.now();
    const found = this.#service.world.instance(place.instance, place.project);
    const created = this.#service.world.addTask(found, parse(newTask, task, "task"));
    return { project: found.project.id, instance: found.instance.id, task: created.id };
  }

  /** Changes a task by hand; a new status ends its plan. */
  updateTask(place: Place, id: string, change: TaskChange): void {
    const { found, task } = this.#find(place, id);
    this.#service.world.changeTask(found, task, parse(taskChange, change, "task"));
  }

  /** The task is gone from every list. */
  deleteTask(place: Place, id: string): void {
    const { found, task } = this.#find(place, id);
    this.#service.world.removeTask(found, task);
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
    if (parsed.dialect) project.dialect = changeDialect(project.dialect, parsed.dialect);
    if (parsed.requests_per_second !== undefined) project.requestsPerSecond = parsed.requests_per_second;
  }

  /** Returns the id. */
  addInstance(instance: NewInstance, project?: string): string {
    const world = this.#service.world;
    return world.addInstance(world.project(project), parse(newInstance, instance, "instance")).id;
  }

  updateInstance(place: Place, change: InstanceChange): void {
    const { instance } = this.#service.world.instance(place.instance, place.project);
    const { status, listed } = parse(instanceChange, change, "instance");
    if (status !== undefined) instance.status = status;
    if (listed !== undefined) instance.listed = listed;
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
  requests(filter: RequestFilter = {}): LoggedRequest[] {
    return this.#service.log.list().filter((entry) => matchesRequest(entry, filter));
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

  /** What happened to tasks, oldest first; `after`: only those with a greater seq. */
  transitions(after = 0): Transition[] {
    this.now();
    return this.#service.world.transitions.list().filter((transition) => transition.seq > after);
  }

  /** Steps that could not be done when their time came. */
  problems(): { seq: number; time: number; message: string }[] {
    return this.#service.world.problems.list();
  }

  /** Back to what the simulator was started with: projects, keys, clock, faults, log, steps. */
  reset(): void {
    this.#service.reset();
    this.run(this.#script);
  }

  #find(place: Place, id: string): { found: InstanceOf; task: Task } {
    this.now();
    const found = this.#service.world.instance(place.instance, place.project);
    const task = found.instance.tasks.get(id) ?? found.instance.scheduled.get(id);
    if (task) return { found, task };
    throw new Error(`unknown task ${JSON.stringify(id)} of instance ${JSON.stringify(place.instance)}`);
  }
}

/** The value as the schema gives it. @throws Error that names each wrong path, what was found and what is allowed */
function parse<T extends z.ZodType>(schema: T, input: unknown, what: string): z.output<T> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const issues = problemsOf(result.error, input).map(
    ({ path, message }) => `${[what, ...path].join(".")}: ${message}`,
  );
  throw new Error(issues.join("; "));
}
