import client from "prom-client";
import { CATALOG, LEFT_OUT_DEFAULTS, type MetricSpec } from "./catalog.ts";
import { TaskNames } from "./task-names.ts";

type Entries = { readonly [E in (typeof CATALOG)[number] as E["name"]]: E };
/** A family that is kept in the registry: one without the label `instance_id`. */
type FixedName = {
  [N in keyof Entries]: "instance_id" extends Entries[N]["labels"][number] ? never : N;
}[keyof Entries];
type OfType<T extends MetricSpec["type"]> = {
  [N in FixedName]: Entries[N]["type"] extends T ? N : never;
}[FixedName];
export type CounterName = OfType<"counter">;
export type GaugeName = OfType<"gauge">;
export type HistogramName = OfType<"histogram">;

/** Exactly the labels that the catalogue gives the family. */
export type LabelsOf<N extends FixedName> = Readonly<Record<Entries[N]["labels"][number], string>>;

/** Names of the configuration that label values may have. */
export interface Owners {
  readonly projects: ReadonlySet<string>;
  readonly webhooks: ReadonlySet<string>;
}

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

export interface Family extends Pick<MetricSpec, "name" | "type" | "help"> {
  samples(): Promise<readonly Sample[]>;
}

type Labels = Readonly<Record<string, string>>;

type Kept = (
  | { readonly type: "counter"; readonly metric: client.Counter<string> }
  | { readonly type: "gauge"; readonly metric: client.Gauge<string> }
  | { readonly type: "histogram"; readonly metric: client.Histogram<string> }
) & {
  readonly labelNames: readonly string[];
  /** All series by their label values: prom-client lists them only by a promise. */
  readonly series: Map<string, Labels>;
};

/**
 * The longest interval that Node.js accepts. prom-client samples the event loop's utilization every 100 ms and has
 * no way to stop its timer. `LEFT_OUT_DEFAULTS` drops these families, so sampling would only cost CPU time.
 */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1;

/**
 * The families without `instance_id`, on one registry; only this file knows prom-client. What is said of a project
 * or webhook that is not configured (any more) is dropped, so that a poll that still runs cannot bring its series back.
 */
export class Metrics {
  readonly taskNames: TaskNames;
  readonly #registry: client.Registry;
  readonly #kept = new Map<string, Kept>();
  /** Webhooks that are not configured any more, and have deliveries or dead letters left. */
  readonly #former = new Set<string>();
  #owners: Owners = { projects: new Set(), webhooks: new Set() };

  constructor(registry: client.Registry = new client.Registry()) {
    this.#registry = registry;
    this.taskNames = new TaskNames((project) => this.set("taskwatch_task_names_capped", { project }, 1));
    const specs: readonly MetricSpec[] = CATALOG;
    for (const spec of specs) {
      if (!spec.labels.includes("instance_id")) this.#kept.set(spec.name, keep(spec, registry));
    }
    // prom-client begins every gauge without labels at 0, and a point in time is never 0.
    this.clear("taskwatch_config_last_reload_success_timestamp_seconds", {});
  }

  /** Adds the figures of the process and of Node.js. */
  collectDefaults(): void {
    client.collectDefaultMetrics({
      register: this.#registry,
      eventLoopUtilizationTimeout: LONGEST_INTERVAL_MS,
    });
    for (const name of LEFT_OUT_DEFAULTS) this.#registry.removeSingleMetric(name);
  }

  /** From now on these may be counted; all series of others disappear. */
  setOwners(owners: Owners): void {
    this.#owners = owners;
    this.taskNames.retain(owners.projects);
    this.#removeUnowned();
  }

  /** Admits the series of a webhook that is not configured any more, or removes them when nothing of it is left. */
  setFormer(webhook: string, hasSomething: boolean): void {
    if (hasSomething) this.#former.add(webhook);
    else if (this.#former.delete(webhook)) this.#removeUnowned();
  }

  inc<N extends CounterName>(name: N, labels: LabelsOf<N>, by = 1): void {
    const kept = this.#admit(name, labels);
    if (kept?.type === "counter") kept.metric.inc(labels, by);
  }

  set<N extends GaugeName>(name: N, labels: LabelsOf<N>, value: number): void {
    const kept = this.#admit(name, labels);
    if (kept?.type === "gauge") kept.metric.set(labels, value);
  }

  observe<N extends HistogramName>(name: N, labels: LabelsOf<N>, value: number): void {
    const kept = this.#admit(name, labels);
    if (kept?.type === "histogram") kept.metric.observe(labels, value);
  }

  /** Makes a series present, with its first value; one that is there already is left alone. */
  start<N extends FixedName>(name: N, labels: LabelsOf<N>, value = 0): void {
    const known = this.#kept.get(name);
    if (known?.series.has(seriesKey(known, labels))) return;
    const kept = this.#admit(name, labels);
    if (kept?.type === "histogram") kept.metric.zero(labels);
    else kept?.metric.inc(labels, value);
  }

  /** Takes a series away: of a point in time that does not exist, say. */
  clear<N extends GaugeName>(name: N, labels: LabelsOf<N>): void {
    const kept = this.#kept.get(name);
    if (kept) remove(kept, labels);
  }

  /** The series of one project are these from now on, and no others. */
  replace<N extends Extract<GaugeName, `dms_${string}`>>(
    name: N,
    project: string,
    rows: readonly { readonly labels: LabelsOf<N>; readonly value: number }[],
  ): void {
    const kept = this.#kept.get(name);
    for (const labels of kept?.series.values() ?? []) {
      if (kept && labels.project === project) remove(kept, labels);
    }
    for (const { labels, value } of rows) this.set(name, labels, value);
  }

  families(): readonly Family[] {
    // The declared type of the array lacks the method that every metric has.
    const metrics = this.#registry.getMetricsAsArray() as unknown as readonly client.Counter<string>[];
    return metrics.map((metric) => {
      const described = metric as unknown as Pick<MetricSpec, "name" | "type" | "help">;
      return {
        name: described.name,
        type: described.type,
        help: described.help,
        samples: async () =>
          (await metric.get()).values.map((value) => ({
            name: "metricName" in value ? String(value.metricName ?? described.name) : described.name,
            labels: value.labels as Sample["labels"],
            value: value.value,
          })),
      };
    });
  }

  #admit(name: FixedName, labels: Labels): Kept | undefined {
    if (!this.#isOwned(labels)) return undefined;
    const kept = this.#kept.get(name);
    if (!kept) return undefined;
    const key = seriesKey(kept, labels);
    if (!kept.series.has(key)) kept.series.set(key, labels);
    return kept;
  }

  #removeUnowned(): void {
    for (const kept of this.#kept.values()) {
      for (const labels of kept.series.values()) if (!this.#isOwned(labels)) remove(kept, labels);
    }
  }

  #isOwned(labels: Labels): boolean {
    const { project, webhook } = labels;
    return (
      (project === undefined || this.#owners.projects.has(project)) &&
      (webhook === undefined || this.#owners.webhooks.has(webhook) || this.#former.has(webhook))
    );
  }
}

function keep(spec: MetricSpec, registry: client.Registry): Kept {
  const config = { name: spec.name, help: spec.help, labelNames: spec.labels, registers: [registry] };
  const series = new Map<string, Labels>(spec.labels.length === 0 ? [["", {}]] : []);
  const shared = { labelNames: spec.labels, series };
  switch (spec.type) {
    case "counter":
      return { type: spec.type, metric: new client.Counter(config), ...shared };
    case "gauge":
      return { type: spec.type, metric: new client.Gauge(config), ...shared };
    case "histogram":
      return {
        type: spec.type,
        metric: new client.Histogram({ ...config, buckets: [...(spec.buckets ?? [])] }),
        ...shared,
      };
  }
}

function remove(kept: Kept, labels: Labels): void {
  kept.metric.remove(labels);
  kept.series.delete(seriesKey(kept, labels));
}

function seriesKey({ labelNames }: Pick<Kept, "labelNames">, labels: Labels): string {
  let key = "";
  for (const name of labelNames) key += `${labels[name]}\0`;
  return key;
}
