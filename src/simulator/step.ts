import { z } from "zod";
import type { Control, Place } from "./control.ts";
import { faultRule } from "./fault-rules.ts";
import { keyPair } from "./keys.ts";
import { loadOptions } from "./load.ts";
import { instanceChange, newInstance, newProject, projectChange } from "./project.ts";
import { newTask, taskChange } from "./tasks.ts";
import { duration, milliseconds } from "./time.ts";
import type { World } from "./world.ts";

const at = z.union([z.number(), z.string()]).refine((value) => timeOf(value, 0) !== undefined, {
  error: "not a time; allowed: +5s, +1h30m, milliseconds after the start, or 2026-01-31T10:00:00Z",
});

/** What a step can do; exactly one of them. */
const actions = {
  task: newTask.optional(),
  update_task: taskChange.extend({ id: z.string() }).optional(),
  delete_task: z.string().optional(),
  add_project: newProject.optional(),
  set_project: projectChange.optional(),
  add_instance: newInstance.optional(),
  update_instance: instanceChange.optional(),
  remove_instance: z.literal(true).optional(),
  load: loadOptions.optional(),
  fault: faultRule.optional(),
  clear_faults: z.union([z.literal(true), z.string()]).optional(),
  add_key: keyPair.optional(),
  revoke_key: z.string().optional(),
  add_token: z.string().optional(),
  expire_tokens: z.literal(true).optional(),
  rotate_agency_keys: z.literal(true).optional(),
  date_skew: z.number().optional(),
  advance: duration.optional(),
  clear_requests: z.literal(true).optional(),
};

type Action = keyof typeof actions;
const ACTIONS = Object.keys(actions) as Action[];
const NEED_INSTANCE: readonly Action[] = [
  "task",
  "update_task",
  "delete_task",
  "update_instance",
  "remove_instance",
];

/** One line of a script: when, where, and what. */
export const step = z
  .strictObject({
    /** After the start of the script, or a point in time; default: at once. */
    at: at.optional(),
    /** Repeats the step, `times` in all; default: for ever. */
    every: duration.optional(),
    times: z.int().positive().optional(),
    /** Name or id; default: the first project, and for an instance the first project that has it. */
    project: z.string().optional(),
    instance: z.string().optional(),
    ...actions,
  })
  .superRefine((value, context) => {
    const given = ACTIONS.filter((name) => value[name] !== undefined);
    if (given.length !== 1) {
      const found = given.length === 0 ? "nothing to do" : `more than one thing to do (${given.join(", ")})`;
      context.addIssue(`${found}; allowed: exactly one of ${ACTIONS.join(", ")}`);
    } else if (given[0] && NEED_INSTANCE.includes(given[0]) && value.instance === undefined) {
      context.addIssue({
        code: "custom",
        path: ["instance"],
        message: `missing; ${given[0]} needs a name or an id`,
      });
    }
    if (value.every === 0) context.addIssue({ code: "custom", path: ["every"], message: "must be above 0" });
  });
export type StepInput = z.input<typeof step>;
type Step = z.output<typeof step>;

/** Does the step now or schedules it; what it gave, or null when it waits. */
export function runStep(control: Control, world: World, one: Step, start: number): unknown {
  const first = one.at === undefined ? start : (timeOf(one.at, start) ?? start);
  if (one.every !== undefined) {
    repeat(control, world, one, first, one.every, one.times ?? Number.POSITIVE_INFINITY);
    return null;
  }
  if (first <= start) return perform(control, one);
  world.schedule(first, () => perform(control, one));
  return null;
}

function repeat(control: Control, world: World, one: Step, due: number, every: number, left: number): void {
  if (left <= 0) return;
  world.schedule(due, () => {
    repeat(control, world, one, due + every, every, left - 1);
    perform(control, one);
  });
}

/** Parsed values are valid input again: durations are milliseconds by then. */
function perform(control: Control, one: Step): unknown {
  const place: Place = { project: one.project, instance: one.instance ?? "" };
  const projects = one.project === undefined ? undefined : [one.project];
  if (one.task) return control.createTask(place, one.task);
  if (one.update_task) {
    const { id, ...change } = one.update_task;
    return control.updateTask(place, id, change);
  }
  if (one.delete_task !== undefined) return control.deleteTask(place, one.delete_task);
  if (one.add_project) return control.addProject(one.add_project);
  if (one.set_project) return control.setProject(one.set_project, one.project);
  if (one.add_instance) return control.addInstance(one.add_instance, one.project);
  if (one.update_instance) return control.updateInstance(place, one.update_instance);
  if (one.remove_instance) return control.removeInstance(place);
  if (one.load) return control.addLoad(one.load, one.project);
  if (one.fault) return control.addFault(one.fault);
  if (one.clear_faults) return control.clearFaults(one.clear_faults === true ? undefined : one.clear_faults);
  if (one.add_key) return control.addKey(one.add_key, projects);
  if (one.revoke_key !== undefined) return control.revokeKey(one.revoke_key);
  if (one.add_token !== undefined) return control.addToken(one.add_token, undefined, projects);
  if (one.expire_tokens) return control.expireTokens();
  if (one.rotate_agency_keys) return control.rotateAgencyKeys();
  if (one.date_skew !== undefined) return control.setDateSkew(one.date_skew);
  if (one.advance !== undefined) return control.advance(one.advance);
  if (one.clear_requests) return control.clearRequests();
  return undefined;
}

/** Epoch ms of a step's time; undefined when it is none. */
function timeOf(value: number | string, start: number): number | undefined {
  if (typeof value === "string" && /^\d{4}-/.test(value)) {
    const time = Date.parse(value);
    return Number.isNaN(time) ? undefined : time;
  }
  const after = milliseconds(typeof value === "string" ? value.replace(/^\+/, "") : value);
  return after === undefined ? undefined : start + after;
}
