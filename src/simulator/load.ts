import { z } from "zod";
import { ENGINES, type InstanceOf, type Project } from "./project.ts";
import { hexId, uuid } from "./random.ts";
import type { Task } from "./tasks.ts";
import type { World } from "./world.ts";

export const loadOptions = z.strictObject({
  instances: z.int().positive(),
  /** Tasks that each instance has and keeps. */
  tasks: z.int().positive().default(8),
  /** Transitions per second over all instances: a task begins, or one ends. */
  rate: z.number().nonnegative().default(0),
  /** Share of the instances that begin with an open task. */
  open: z.number().min(0).max(1).default(0.05),
  /** Share of the ends that are FAILED. */
  failed: z.number().min(0).max(1).default(0.02),
  engines: z.array(z.enum(ENGINES)).min(1).default(["kafka"]),
  /** Instances are named prefix-00001 and on; their ids follow from the name. */
  prefix: z.string().default("load"),
  task_names: z
    .array(z.string())
    .min(1)
    .default(["modifyAutoTopic", "changeRetentionPolicy", "bindInstancePublicIp", "kafkaConfigModify"]),
});
export type LoadInput = z.input<typeof loadOptions>;

const HISTORY_STEP_MS = 20 * 60_000;

interface Lane {
  readonly place: InstanceOf;
  open: Task | null;
}

/** Makes the instances with their histories, then keeps the transitions coming, for ever, in bounded memory. */
export function startLoad(world: World, project: Project, options: z.output<typeof loadOptions>): void {
  const lanes = Array.from({ length: options.instances }, (_, index) =>
    makeLane(world, project, options, index),
  );
  if (options.rate === 0) return;
  const gap = 1000 / options.rate;
  const next = (at: number): void => {
    world.schedule(at, () => {
      next(at + gap);
      const lane = lanes[Math.floor(world.random() * lanes.length)];
      if (lane) turn(world, lane, options);
    });
  };
  next(world.now() + gap);
}

function makeLane(
  world: World,
  project: Project,
  options: z.output<typeof loadOptions>,
  index: number,
): Lane {
  const name = `${options.prefix}-${String(index + 1).padStart(5, "0")}`;
  const engine = options.engines[index % options.engines.length] ?? "kafka";
  const instance = world.addInstance(project, {
    id: uuid(`${project.id} ${name}`),
    name,
    engine,
    status: "RUNNING",
    enterprise_project_id: "0",
    keep_tasks: options.tasks,
  });
  const place = { project, instance };
  for (let n = options.tasks - 1; n > 0; n--) {
    world.addTask(place, {
      id: hexId(`${instance.id} history ${n}`),
      name: options.task_names[n % options.task_names.length],
      created_ago: n * HISTORY_STEP_MS + index,
      runs_for: 30_000,
    });
  }
  const lane: Lane = { place, open: null };
  if (world.random() < options.open) begin(world, lane, options);
  return lane;
}

function turn(world: World, lane: Lane, options: z.output<typeof loadOptions>): void {
  const { open } = lane;
  if (!open) {
    begin(world, lane, options);
    return;
  }
  lane.open = null;
  world.endPhase(lane.place, open, world.random() < options.failed ? "FAILED" : "SUCCESS", world.now());
}

function begin(world: World, lane: Lane, options: z.output<typeof loadOptions>): void {
  const name = options.task_names[Math.floor(world.random() * options.task_names.length)];
  lane.open = world.addTask(lane.place, { name, status: "EXECUTING" });
}
