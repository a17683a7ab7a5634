import type { ScheduledTask } from "../core/state.ts";
import { type Listing, newerSighting, type ObservedTask, type Window } from "../core/task.ts";
import { CloudError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { ListedInstance, TaskSource } from "../ports/task-source.ts";
import type { Api, JsonAnswer } from "./api.ts";
import { isStandIn } from "./bounded.ts";
import { canonicalQuery } from "./canonical.ts";
import { speaksOfTask } from "./classify.ts";
import { decodeInstances, decodeProgress, decodeScheduled, decodeTasks, type RowPage } from "./decode.ts";
import { ListMemory } from "./list-memory.ts";
import type { DialectMemory, Page, PageQuery } from "./paging.ts";
import { type ListResult, readList } from "./read-list.ts";
import { type RequestTarget, target } from "./target.ts";
import { windowTexts } from "./window-text.ts";

export interface TaskSourceOptions {
  readonly api: Api;
  /** Origin of the message-queue API. */
  readonly endpoint: string;
  readonly projectId: string;
  /** Only instances of this enterprise project are listed; null for all. */
  readonly enterpriseProjectId: string | null;
  /** Zone that the API reads begin_time and end_time in, milliseconds east of UTC. */
  readonly utcOffset: number;
  readonly dialect: DialectMemory;
  readonly clock: Clock;
}

/** Documented range 1 to 100; smaller ones in case a region differs. */
const TASK_LIMITS = [100, 50, 10] as const;
const INSTANCE_LIMITS = [50, 10] as const;
const TASK_NAMES = ["offset", "start"] as const;
/** About 20,000 rows. */
const MAX_CALLS = 200;
/** About 50,000 instances of one engine. */
const MAX_INSTANCE_CALLS = 1_000;
/** An end later than this ago is left open: clocks that differ a little must not hide the newest tasks. */
const OPEN_END_MS = 60_000;

/** The tasks and instances of one project, read over HTTP. */
export function createTaskSource(options: TaskSourceOptions): TaskSource {
  const { api, endpoint, projectId, utcOffset, dialect, clock } = options;
  const taskLists = new ListMemory();
  const otherLists = new ListMemory();
  const scheduledDialect = inMemory();
  const instanceDialect = inMemory();
  const listTargets = new Map<string, RequestTarget>();

  const path = (...segments: string[]): RequestTarget =>
    target(endpoint, ["v2", projectId, "instances", ...segments], projectId);
  const tasksOf = (instanceId: string): RequestTarget => {
    const known = listTargets.get(instanceId);
    if (known) return known;
    const made = path(instanceId, "tasks");
    listTargets.set(instanceId, made);
    return made;
  };
  const windowText = windowTexts(utcOffset);
  /** Canonical as it is: names in order, nothing to encode. Joined by hand because every poll asks it. */
  const listQuery = ({ from, to, limit, position }: PageQuery): string => {
    const begin = from === null ? "" : `begin_time=${windowText(from)}&`;
    const end = to === null ? "" : `end_time=${windowText(to)}&`;
    const at = position === null ? "" : `&${position.name}=${position.value}`;
    return `${begin}${end}limit=${limit}${at}`;
  };

  return {
    get cloudOffset() {
      return api.cloudOffset;
    },

    list(instanceId, window, signal): Promise<Listing> {
      return readList({
        list: instanceId,
        fetch: (query) => api.get("list_tasks", tasksOf(instanceId), listQuery(query), signal).then(taskPage),
        from: window.from,
        to: endOf(window, clock.now() + (api.cloudOffset ?? 0)),
        merge: newerSighting,
        limits: TASK_LIMITS,
        names: TASK_NAMES,
        dialect,
        memory: taskLists,
        maxCalls: MAX_CALLS,
      }).then((result) => listingOf(result, window));
    },

    async show(instanceId, taskId, signal) {
      if (isStandIn(taskId)) return { kind: "unclear", problem: "its id cannot be asked for" };
      try {
        const answer = await api.get("show_task", path(instanceId, "tasks", taskId), "", signal);
        const { rows } = pageOf(answer, decodeTasks(answer.body), "a task");
        const sightings = rows.flatMap((row) =>
          row.kind === "item" && row.item.id === taskId ? [row.item] : [],
        );
        if (sightings.length > 0) return { kind: "found", task: sightings.reduce(newerSighting) };
        const bad = rows.find((row) => row.kind === "malformed");
        return { kind: "unclear", problem: bad?.problem ?? "the answer shows no task of this id" };
      } catch (error) {
        if (error instanceof CloudError && speaksOfTask(error)) return { kind: "gone" };
        if (error instanceof CloudError && error.status === 404 && error.reason === "bad_response") {
          return { kind: "unclear", problem: error.message };
        }
        throw error;
      }
    },

    async progress(instanceId, taskId, signal) {
      if (isStandIn(taskId)) return null;
      try {
        const answer = await api.get(
          "task_progress",
          path(instanceId, "tasks", taskId, "progress"),
          "",
          signal,
        );
        return decodeProgress(answer.body);
      } catch (error) {
        // RabbitMQ has no such call, Kafka answers it during a capacity expansion alone; how they refuse is not documented.
        if (error instanceof CloudError && error.reason === "bad_response" && error.status !== null)
          return null;
        throw error;
      }
    },

    async instances(engine, signal): Promise<readonly ListedInstance[]> {
      const at = path();
      const { enterpriseProjectId: owner } = options;
      const fixed = canonicalQuery([
        ["engine", engine],
        ...(owner === null ? [] : [["enterprise_project_id", owner] as const]),
      ]);
      const result = await readList({
        list: `instances ${engine}`,
        fetch: async (query) => {
          const answer = await api.get("list_instances", at, `${fixed}&${listQuery(query)}`, signal);
          return pageOf(answer, decodeInstances(answer.body, engine), "a list of instances");
        },
        from: null,
        to: null,
        merge: (_, later) => later,
        limits: INSTANCE_LIMITS,
        names: ["offset"],
        dialect: instanceDialect,
        memory: otherLists,
        maxCalls: MAX_INSTANCE_CALLS,
      });
      return wholeOnly(result, `instances of ${engine}`);
    },

    async scheduled(instanceId, signal): Promise<readonly ScheduledTask[]> {
      const at = path(instanceId, "scheduled-tasks");
      const result = await readList({
        list: `scheduled ${instanceId}`,
        fetch: async (query) => {
          const answer = await api.get("list_scheduled_tasks", at, listQuery(query), signal);
          return pageOf(answer, decodeScheduled(answer.body), "a list of scheduled tasks");
        },
        from: null,
        to: null,
        merge: (_, later) => later,
        limits: TASK_LIMITS,
        names: ["start", "offset"],
        dialect: scheduledDialect,
        memory: otherLists,
        maxCalls: MAX_CALLS,
      });
      return wholeOnly(result, "scheduled tasks");
    },
  };
}

/** The end to ask for: a second later than the window's, because it is not known whether the API counts it in. */
function endOf(window: Window, cloudNow: number): number | null {
  return window.to > cloudNow - OPEN_END_MS ? null : window.to + 1000;
}

const listingOf = (
  { items, malformed, gap, countedMore, cloudNow }: ListResult<ObservedTask>,
  window: Window,
): Listing => ({
  tasks: items,
  malformed,
  complete: gap === null,
  gap: gap?.problem ?? null,
  cause: gap?.cause ?? null,
  answer: gap?.answer ?? null,
  countedMore,
  window,
  cloudNow,
});

const taskPage = (answer: JsonAnswer) => pageOf(answer, decodeTasks(answer.body), "a list of tasks");

function pageOf<T>(answer: JsonAnswer, decoded: RowPage<T> | undefined, expected: string): Page<T> {
  if (!decoded) throw answer.unusable(`JSON that is not ${expected}`);
  return { ...decoded, cloudNow: answer.cloudNow };
}

function wholeOnly<T>(result: ListResult<T>, what: string): readonly T[] {
  const { gap } = result;
  if (gap) {
    throw new CloudError(gap.cause, `${what} were not listed whole: ${gap.problem}`, {
      code: gap.answer?.errorCode ?? null,
      requestId: gap.answer?.requestId ?? null,
    });
  }
  return result.items;
}

function inMemory(): DialectMemory {
  let dialect: ReturnType<DialectMemory["read"]> = null;
  return {
    read: () => dialect,
    learned: (learned) => {
      dialect = learned;
    },
  };
}
