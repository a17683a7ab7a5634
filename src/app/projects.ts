import type { Config, InstanceConfig, ProjectConfig } from "../config/config.ts";
import { plainInstance } from "../config/resolve.ts";
import { type Discovered, type DiscoveredInstance, isBornWatched } from "../core/discovered.ts";
import { placeholderId, type Unwatched } from "../core/unwatched.ts";
import type { Discovery } from "../poll/discovery.ts";
import type { InstanceTarget, PollProject } from "../poll/target.ts";
import type { Clock } from "../ports/clock.ts";
import type { SharedDocuments } from "../ports/store.ts";
import type { Emit } from "../ports/telemetry.ts";
import { compileGlob } from "../util/glob.ts";
import { Connection, connectionFingerprint, credentialsFingerprint } from "./connection.ts";
import type { Gates } from "./gates.ts";
import { ProjectIds } from "./project-ids.ts";
import { ProjectWatch } from "./project-watch.ts";
import { commonRules } from "./rules.ts";
import { StoredDialect } from "./stored-dialect.ts";
import { TargetFactory, type Wanted } from "./targets.ts";

export interface ProjectsOptions {
  readonly gates: Gates;
  readonly notes: SharedDocuments;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What is to be watched has changed: by a configuration, a project's id that became known, or discovery. */
  readonly onChange: () => void;
}

/** What the poll needs of the configured projects. */
export interface WatchedProjects {
  /** Those whose id is known. */
  readonly projects: readonly PollProject[];
  readonly targets: readonly InstanceTarget[];
  /** One of each configured project, under the id that stands for one that is not known. */
  readonly placeholders: readonly PollProject[];
}

/** How the watch of one configured project stands. */
export interface ProjectState {
  readonly project: ProjectConfig;
  /** Null where it is not known, or is that of a project before it in the configuration. */
  readonly id: string | null;
  readonly unwatched: Unwatched | null;
  readonly unconfirmed: Unwatched | null;
  /** Null without discovery, and until it has listed. */
  readonly discovery: { readonly found: number; readonly listedAt: number } | null;
}

/** A configured project, as it runs. */
interface Running {
  readonly project: ProjectConfig;
  readonly watch: ProjectWatch;
  /** Its id, and what is known of its instances; null where it is not polled. */
  readonly found: ProjectWatch["found"];
  /** Name of a project before it that has the same id. */
  readonly twin: string | null;
}

/** The configured projects, each with its connection; what they make the poll watch. */
export class Projects {
  readonly #options: ProjectsOptions;
  readonly #ids: ProjectIds;
  #config: Config | null = null;
  #watches: ReadonlyMap<string, ProjectWatch> = new Map();

  constructor(options: ProjectsOptions) {
    this.#options = options;
    this.#ids = new ProjectIds(options.notes);
  }

  /** Connections that did not change live on; those that are gone close when their last call has ended. */
  apply(config: Config): void {
    const { gates, notes, clock, env } = this.#options;
    const before = this.#watches;
    const next = new Map<string, ProjectWatch>();
    const added: ProjectWatch[] = [];
    for (const project of config.projects) {
      const limits = { connections: config.poll.concurrency, timeoutMs: config.poll.timeout };
      const print = connectionFingerprint(project, limits);
      const known = before.get(project.name);
      // Also for a connection that stays: the budget may have changed, and the gate is shared by name.
      const gate = gates.gate(project.name, project.requests_per_second, credentialsFingerprint(project));
      if (known?.print === print) {
        next.set(project.name, known);
        continue;
      }
      const dialect = known?.connection.dialect ?? new StoredDialect(notes, project.name);
      const connection = new Connection({ project, gate, ...limits, dialect, clock, env });
      const onChange = () => this.#changed();
      const watch = new ProjectWatch({ project, print, connection, ids: this.#ids, notes, clock, onChange });
      const heritage = heritageOf(watch, project, before);
      if (heritage) watch.inherit(heritage);
      next.set(project.name, watch);
      added.push(watch);
    }
    this.#config = config;
    this.#watches = next;
    gates.retain(new Map(config.projects.map((project) => [project.name, credentialsFingerprint(project)])));
    for (const [name, watch] of before) if (next.get(name) !== watch) void watch.close();
    for (const watch of added) void watch.identify();
    this.#changed();
  }

  /** Projects whose id is known, and all instances to watch in them. */
  watched(): WatchedProjects {
    const config = this.#config;
    if (!config) return { projects: [], targets: [], placeholders: [] };
    const factory = new TargetFactory(config, commonRules(config));
    const projects: PollProject[] = [];
    const targets: InstanceTarget[] = [];
    const placeholders: PollProject[] = [];
    for (const { project, watch, found } of this.#running()) {
      const { connection } = watch;
      placeholders.push(factory.project({ config: project, connection, id: placeholderId(project.name) }));
      if (!found) continue;
      const known = { config: project, connection, id: found.id };
      const poll = factory.project(known);
      projects.push(poll);
      for (const wanted of wantedOf(config, project, found.discovery)) {
        targets.push(factory.target(known, poll, wanted));
      }
    }
    return { projects, targets, placeholders };
  }

  /** In the order of the configuration. */
  states(): readonly ProjectState[] {
    return this.#running().map(({ project, watch, found, twin }) => {
      const { discover } = project;
      const listed = found?.discovery.listed ?? null;
      return {
        project,
        id: found?.id ?? null,
        unwatched: watch.unwatched(discover, twin),
        unconfirmed: watch.unconfirmed(),
        discovery: discover && listed && { found: letThrough(project, listed).length, listedAt: listed.at },
      };
    });
  }

  /** Of all projects; null while one is not known. */
  get ids(): ReadonlySet<string> | null {
    const ids = [...this.#watches.values()].map(({ found }) => found?.id ?? null);
    return ids.includes(null) ? null : new Set(ids.filter((id) => id !== null));
  }

  /** Tells of each project whether it is watched: now and then, as what lasts is said again. */
  report(): void {
    const { clock, emit } = this.#options;
    for (const { project, unwatched, unconfirmed, discovery: discovered } of this.states()) {
      const at = clock.now();
      emit({ kind: "project.watch", project: project.name, at, unwatched, unconfirmed, discovered });
    }
  }

  /**
   * True when an instance of this project that is not wanted has left. Before all ids are known, it may belong to a
   * project that is being looked up; before its project has listed, it may be in the list.
   */
  settled(projectId: string): boolean {
    return this.#running().every(({ project, watch: { found } }) => {
      if (!found) return false;
      return found.id !== projectId || !project.discover || found.discovery.listed !== null;
    });
  }

  /**
   * Reads what others discovered, and lists anew where it is due and this replica's to do. Failures are told, and
   * cost nothing but time.
   */
  async discover(isOurs: (projectId: string) => boolean): Promise<void> {
    for (const running of this.#running()) {
      if (running.project.discover && running.found) await this.#discoverIn(running, isOurs);
    }
  }

  /** Keeps the ids that were looked up in the store. Rejects as the store does. */
  async remember(): Promise<void> {
    for (const watch of this.#watches.values()) await watch.remember();
  }

  /** Call when the instance's own 404 was read twice, an interval apart. Returns true when it has left. */
  async gone(project: string, instanceId: string): Promise<boolean> {
    const left = await this.#watches.get(project)?.found?.discovery.forget(instanceId);
    if (left) this.#changed();
    return left ?? false;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#watches.values()].map((watch) => watch.close()));
  }

  #changed(): void {
    this.#options.onChange();
    this.report();
  }

  /** Of two projects with one id, the second is not watched: whatever one of them says would be taken back by the other. */
  #running(): readonly Running[] {
    const first = new Map<string, string>();
    return (this.#config?.projects ?? []).flatMap((project): Running[] => {
      const watch = this.#watches.get(project.name);
      if (!watch) return [];
      const { found } = watch;
      const twin = (found && first.get(found.id)) ?? null;
      if (found && twin === null) first.set(found.id, project.name);
      return [{ project, watch, found: twin === null ? found : null, twin }];
    });
  }

  async #discoverIn({ project, watch }: Running, isOurs: (id: string) => boolean): Promise<void> {
    const { discover, name } = project;
    const { found } = watch;
    if (!found || !discover || !this.#config) return;
    if (await watch.refresh()) {
      this.#tellDiscovered(project, found.discovery, 0, [], []);
      this.#changed();
    }
    if (!isOurs(found.id)) return;
    try {
      const { poll, window } = this.#config;
      const limits = { timeoutMs: poll.timeout, utcOffset: window.utc_offset };
      const anew = await watch.list(discover, limits, letsThrough(discover));
      if (!anew) return;
      this.#tellDiscovered(project, found.discovery, anew.seconds, anew.added, anew.missed);
      // Also where nothing was added: another replica that listed meanwhile may have written first.
      this.#changed();
    } catch (error) {
      if (watch.stopped) return;
      const known = found.discovery.known !== null;
      this.#options.emit({ kind: "discovery.failed", project: name, known, error });
      this.report();
    }
  }

  #tellDiscovered(
    project: ProjectConfig,
    { listed }: Discovery,
    seconds: number,
    added: readonly DiscoveredInstance[],
    missing: readonly DiscoveredInstance[],
  ): void {
    if (!listed) return;
    this.#options.emit({
      kind: "discovery.finished",
      project: project.name,
      seconds,
      found: letThrough(project, listed).length,
      added: added.map((each) => each.name),
      missing: missing.map((each) => each.name),
    });
  }
}

/**
 * What a watch before this configuration knows of the same cloud project: one with the configured id, else one that
 * asks the same IAM with the same credentials, else the one of the same name and region, with other credentials.
 */
function heritageOf(
  watch: ProjectWatch,
  project: ProjectConfig,
  before: ReadonlyMap<string, ProjectWatch>,
): ProjectWatch["found"] {
  const all = [...before.values()];
  const same =
    project.project_id === null
      ? (all.find(({ access, found }) => found && access === watch.access) ??
        all.find((each) => each.found && each === before.get(project.name) && each.region === project.region))
      : all.find(({ found }) => found?.id === project.project_id);
  return same?.found ?? null;
}

const LET_THROUGH = new WeakMap<
  Discovered,
  { project: ProjectConfig; instances: readonly DiscoveredInstance[] }
>();

/** Instances that discovery found and the filters let through. Remembered: it is asked for every second. */
function letThrough(project: ProjectConfig, known: Discovered): readonly DiscoveredInstance[] {
  const before = LET_THROUGH.get(known);
  if (before?.project === project) return before.instances;
  const instances = filtered(project, known);
  LET_THROUGH.set(known, { project, instances });
  return instances;
}

const filtered = ({ discover }: ProjectConfig, known: Discovered): readonly DiscoveredInstance[] =>
  discover ? known.instances.filter(letsThrough(discover)) : [];

/** Do the filters of discovery let an instance through? */
function letsThrough({ include, exclude, engines }: NonNullable<ProjectConfig["discover"]>) {
  const includes = include.map(compileGlob);
  const excludes = exclude.map(compileGlob);
  return ({ name, engine }: Pick<DiscoveredInstance, "name" | "engine">): boolean => {
    if (!engines.includes(engine)) return false;
    if (includes.length > 0 && !includes.some((fits) => fits(name))) return false;
    return !excludes.some((fits) => fits(name));
  };
}

/** Named instances, and those that discovery found and the filters let through. A name in the file goes first. */
export function* wantedOf(config: Config, project: ProjectConfig, { known }: Discovery): Iterable<Wanted> {
  for (const instance of project.instances) {
    yield { instance, discovered: false, announce: false, bornWatched: false };
  }
  if (!known) return;
  const named = new Set(project.instances.map(({ id }) => id));
  for (const found of letThrough(project, known)) {
    const { id, name, engine, initial } = found;
    if (named.has(id)) continue;
    const instance: InstanceConfig = plainInstance(config, { id, name, engine });
    yield { instance, discovered: true, announce: !initial, bornWatched: isBornWatched(known, found) };
  }
}
