import { isFinal } from "../core/task.ts";
import { limitOf } from "../core/verdict.ts";
import { StoreError } from "../errors.ts";
import { added } from "../outbox/housekeeping.ts";
import { scheduleInForce } from "../poll/polled-instance.ts";
import type { Clock } from "../ports/clock.ts";
import type { EventPage, Store } from "../ports/store.ts";
import type { Emit } from "../ports/telemetry.ts";
import { inTurns } from "../util/turns.ts";
import type { Api, EventsJson, JudgedTaskJson, Scope } from "../views/api.ts";
import { eventJson } from "../views/event.ts";
import { type InstanceJson, instanceJson } from "../views/instance.ts";
import { type KnownTask, taskJson } from "../views/task.ts";
import { webhookJson } from "../views/webhook.ts";
import { acknowledgeTask } from "./acknowledge.ts";
import type { Engine } from "./engine.ts";
import { explainTasks } from "./explain.ts";
import {
  type Inventory,
  inScope,
  type KnownInstance,
  listTasks,
  projectName,
  readInventory,
  timeline,
} from "./inventory.ts";
import { commonRules, commonStuck } from "./rules.ts";
import { type Process, statusJson } from "./status.ts";

export interface StoreApiOptions {
  readonly clock: Clock;
  readonly emit: Emit;
  /** Null until the store has answered, and from the moment on that it is to be closed. */
  readonly opened: () => { readonly store: Store; readonly engine: Engine } | null;
  readonly process: () => Process;
}

/** `Api` over the store, beside whoever owns its shards. Requests that overlap share one reading of it. */
export function storeApi({ clock, emit, opened, process }: StoreApiOptions): Api {
  let reading: Promise<Inventory> | null = null;

  const open = () => {
    const there = opened();
    if (there) return there;
    throw new StoreError("unavailable", "the store is not open");
  };

  async function whole(): Promise<Inventory> {
    const { store, engine } = open();
    const shared = reading ?? readInventory(store.reader, engine.config, engine.targets.targets);
    reading = shared;
    try {
      return await shared;
    } finally {
      if (reading === shared) reading = null;
    }
  }

  /** Those of this id, on the instances asked for. */
  async function tasksOf(id: string, scope: Scope): Promise<readonly KnownTask[]> {
    const found = await open().store.reader.task(id);
    if (found.length === 0) return [];
    const instances = new Map((await whole()).instances.map((each) => [each.key, each]));
    const within = inScope(scope);
    return found.flatMap(({ key, task }) => {
      const instance = instances.get(key);
      return instance && within(instance)
        ? [{ key, shard: instance.shard, record: instance.record, task }]
        : [];
    });
  }

  function eventsJson({ events, cursor }: EventPage): EventsJson {
    const { privacy } = open().engine.config;
    return {
      cursor,
      events: events.map((each) => ({ event: eventJson(each, privacy), cursor: each.cursor })),
    };
  }

  return {
    async status() {
      const there = opened();
      // It says most when something is wrong.
      const known = there && (await whole().catch(() => null));
      const unreadable = there && (await there.store.reader.unreadable().catch(() => null));
      return statusJson(process(), there?.engine ?? null, known, unreadable?.length ?? null, clock.now());
    },

    async instances({ after, limit, ...scope }) {
      const within = inScope(scope);
      const wanted = (await whole()).instances.filter(
        (each) => (after === null || each.key > after) && within(each),
      );
      const now = clock.now();
      const shown = wanted.slice(0, limit);
      const next = wanted.length > limit ? (shown.at(-1)?.key ?? null) : null;
      const instances: InstanceJson[] = [];
      for await (const slice of inTurns(shown)) {
        for (const each of slice) instances.push(shownInstance(each, now));
      }
      return { instances, next };
    },

    async tasks(query) {
      const { store, engine } = open();
      const all = await whole();
      const { tasks, next } = await listTasks(store.reader, all, query);
      const judged = judge(engine, all);
      const now = clock.now();
      return { tasks: tasks.map((known) => judged(known, now)), next };
    },

    async task(id, scope) {
      const { store, engine } = open();
      const { config } = engine;
      const now = clock.now();
      const explained = await explainTasks(store.reader, config, await tasksOf(id, scope), now);
      return explained.map(({ known, why, limit, notes, runs, history }) => ({
        ...taskJson(known, projectName(config, known.record), config.privacy, now),
        limit,
        why,
        notes,
        runs_known: runs,
        events: history.map((event) => eventJson(event, config.privacy)),
      }));
    },

    async events(after, limit, types) {
      const query = { limit, ...(after === null ? {} : { after }), ...(types === null ? {} : { types }) };
      return eventsJson(await open().store.reader.events(query));
    },

    async newestEvents(limit) {
      return eventsJson(await open().store.reader.newestEvents(limit));
    },

    async webhooks() {
      const { store, engine } = open();
      const { webhooks, store: settings } = engine.config;
      const shards = Array.from({ length: settings.shards }, (_, shard) => store.outbox.counts(shard));
      const counts = Map.groupBy((await Promise.all(shards)).flat(), ({ webhook }) => webhook);
      const workers = new Map(engine.webhooks().map((each) => [each.name, each]));
      const untaken = engine.untakenAlerts();
      const configured = new Set(webhooks.map(({ name }) => name));
      const former = [...counts.keys()].filter((name) => !configured.has(name)).sort();
      const all = [...webhooks, ...former.map((name) => ({ name, format: null, urls: [], events: [] }))];
      return all.map(({ name, format, urls, events }) => {
        const own = counts.get(name) ?? [];
        const oldest = own.flatMap(({ oldestAt }) => oldestAt ?? []);
        const stored = {
          pending: own.reduce((sum, { pending }) => sum + pending, 0),
          oldestAt: oldest.length === 0 ? null : Math.min(...oldest),
        };
        const worker = workers.get(name);
        return webhookJson({
          name,
          format,
          urls: urls.map((url) => url.reveal()),
          events,
          disabled: worker?.disabled ?? false,
          down: worker?.down ?? false,
          ...added(stored, untaken.get(name)),
          dead: own.reduce((sum, { dead }) => sum + dead, 0),
          recent: worker?.recent ?? [],
        });
      });
    },

    async lanes(since, most) {
      return await timeline(open().store.reader, await whole(), since, most);
    },

    async acknowledge(id, scope, by, reason) {
      const { store, engine } = open();
      const tasks = await tasksOf(id, scope);
      const [known] = tasks;
      if (known === undefined || tasks.length > 1) {
        return { kind: "not_one", instances: tasks.map(({ record }) => record.instanceId) };
      }
      const now = clock.now();
      const refused = await acknowledgeTask(store.state, engine.config, known, { by, at: now, reason });
      if (refused === null) {
        emit({ kind: "acknowledged", by, tasks: [id], reason });
        // What is read from now on must know of it.
        reading = null;
      }
      const task = (await store.state.loadInstance(known.shard, known.key))?.tasks.get(id) ?? known.task;
      const already = task.acknowledged !== null && task.failedAt === null && task.verdict === null;
      if (refused !== null && !already) return { kind: "refused", why: refused };
      return { kind: "acknowledged", task: judge(engine, await whole())({ ...known, task }, now) };
    },
  };
}

function shownInstance({ project, record, target, live }: KnownInstance, now: number): InstanceJson {
  if (target === null) return instanceJson(record, live, project, null);
  const interval = scheduleInForce(target, live, now).interval(now);
  return instanceJson(record, live, project, {
    region: target.project.region,
    discovered: target.discovered,
    intervalSeconds: Number.isFinite(interval) ? interval / 1000 : null,
    maintenanceUntil: target.rules.mutedUntil(now, null),
  });
}

/** Adds the limit that holds for a task. Made anew for each answer: rules and what is known of names may change. */
function judge(
  { config, knowledge }: Engine,
  { instances }: Inventory,
): (known: KnownTask, now: number) => JudgedTaskJson {
  const rules = new Map(instances.map(({ key, target }) => [key, target?.rules.stuck]));
  const orphans = commonStuck(config, commonRules(config));
  return (known, now) => {
    const { task, record, key } = known;
    const stuck = rules.get(key) ?? orphans;
    const names = knowledge.of(record.projectId, stuck.learn);
    const executed = task.executed || names.executed(task.name);
    return {
      ...taskJson(known, projectName(config, record), config.privacy, now),
      limit: isFinal(task.status)
        ? null
        : (task.verdict?.threshold ?? limitOf(stuck, names, task, executed, now)),
    };
  };
}
