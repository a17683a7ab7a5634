import type { Config, InstanceConfig, ProjectConfig } from "../config/config.ts";
import { plainInstance } from "../config/resolve.ts";
import { type Discovered, type DiscoveredInstance, isBornWatched } from "../core/discovered.ts";
import { Discovery } from "../poll/discovery.ts";
import type { PollProject, Target } from "../poll/target.ts";
import type { Clock } from "../ports/clock.ts";
import type { Notes } from "../ports/store.ts";
import type { Emit } from "../ports/telemetry.ts";
import { compileGlob } from "../util/glob.ts";
import { Connection, connectionPrint, credentialsPrint, projectPrint } from "./connection.ts";
import type { Gates } from "./gates.ts";
import { NoteDialect } from "./note-dialect.ts";
import { commonRules } from "./rules.ts";
import { TargetFactory, type Wanted } from "./targets.ts";

export interface ProjectsOptions {
  readonly gates: Gates;
  readonly notes: Notes;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What is to be watched has changed: by a configuration, a project's id that became known, or discovery. */
  readonly onChange: () => void;
}

/** Nothing of a project is watched before its first listing: one that failed is not waited for as long as others. */
const FIRST_AGAIN_MS = 30_000;

/** One project that is configured now. */
interface Running {
  readonly print: string;
  readonly projectPrint: string;
  readonly connection: Connection;
  readonly stop: AbortController;
  /** Null until its id is known. */
  found: { readonly id: string; readonly discovery: Discovery } | null;
  /** When discovery was last tried, monotonic. */
  triedAt: number;
}

/** The configured projects, each with its connection; what they make the poll watch. */
export class Projects {
  readonly #options: ProjectsOptions;
  #config: Config | null = null;
  #running: ReadonlyMap<string, Running> = new Map();

  constructor(options: ProjectsOptions) {
    this.#options = options;
  }

  /** Connections that did not change live on; those that are gone close when their last call has ended. */
  apply(config: Config): void {
    const { gates, notes, clock, env } = this.#options;
    const before = this.#running;
    const next = new Map<string, Running>();
    const added: [ProjectConfig, Running][] = [];
    for (const project of config.projects) {
      const limits = { connections: config.poll.concurrency, timeoutMs: config.poll.timeout };
      const print = connectionPrint(project, limits);
      const known = before.get(project.name);
      // Also for a connection that stays: the budget may have changed, and the gate is shared by name.
      const gate = gates.gate(project.name, project.requests_per_second, credentialsPrint(project));
      if (known?.print === print) {
        next.set(project.name, known);
        continue;
      }
      const dialect = known?.connection.dialect ?? new NoteDialect(notes, project.name);
      const running: Running = {
        print,
        projectPrint: projectPrint(project),
        connection: new Connection({ project, gate, ...limits, dialect, clock, env }),
        stop: new AbortController(),
        // Other keys of the same project: its instances are watched all along.
        found: known?.projectPrint === projectPrint(project) ? known.found : null,
        triedAt: Number.NEGATIVE_INFINITY,
      };
      next.set(project.name, running);
      added.push([project, running]);
    }
    this.#config = config;
    this.#running = next;
    gates.retain(new Map(config.projects.map((project) => [project.name, credentialsPrint(project)])));
    for (const [name, running] of before) if (next.get(name) !== running) void retire(running);
    for (const [project, running] of added) void this.#find(project, running);
    this.#options.onChange();
  }

  /** Projects whose id is known, and all instances to watch in them. */
  watched(): { readonly projects: readonly PollProject[]; readonly targets: readonly Target[] } {
    const config = this.#config;
    if (!config) return { projects: [], targets: [] };
    const factory = new TargetFactory(config, commonRules(config));
    const projects: PollProject[] = [];
    const targets: Target[] = [];
    for (const project of config.projects) {
      const running = this.#running.get(project.name);
      if (!running?.found) continue;
      const { connection, found } = running;
      const known = { config: project, connection, id: found.id };
      const poll = factory.project(known);
      projects.push(poll);
      for (const wanted of wantedOf(config, project, found.discovery)) {
        targets.push(factory.target(known, poll, wanted));
      }
    }
    return { projects, targets };
  }

  discovered(project: string): Discovered | null {
    return this.#running.get(project)?.found?.discovery.known ?? null;
  }

  /** Is it known of every project what is to be watched? Until then, nothing can be said not to be. */
  get complete(): boolean {
    return (this.#config?.projects ?? []).every((project) => {
      const found = this.#running.get(project.name)?.found;
      return found && (!project.discover || found.discovery.known !== null);
    });
  }

  /**
   * Reads what others discovered, and lists anew where it is due and this replica's to do. Failures are told, and
   * cost nothing but time.
   */
  async discover(isOurs: (projectId: string) => boolean): Promise<void> {
    for (const project of this.#config?.projects ?? []) {
      const running = this.#running.get(project.name);
      if (project.discover && running?.found) await this.#discoverIn(project, running, isOurs);
    }
  }

  /** Call when the instance's own 404 was read twice, an interval apart. Returns true when it has left. */
  async gone(project: string, instanceId: string): Promise<boolean> {
    const left = await this.#running.get(project)?.found?.discovery.forget(instanceId);
    if (left) this.#options.onChange();
    return left ?? false;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running.values()].map(retire));
  }

  async #find(project: ProjectConfig, running: Running): Promise<void> {
    const { onChange, emit, notes, clock } = this.#options;
    const { name } = project;
    const { signal } = running.stop;
    try {
      const id = await running.connection.projectId(signal, (error) =>
        emit({ kind: "project.unknown", project: name, error }),
      );
      emit({ kind: "project.known", project: name });
      if (running.found?.id === id) return;
      const discovery = discoveryOf(project, id, { notes, clock });
      // Without the store nothing is watched yet anyway; the next look reads it.
      await discovery.refresh().catch(() => false);
      running.found = { id, discovery };
    } catch {
      return;
    }
    if (!signal.aborted) onChange();
  }

  async #discoverIn(
    project: ProjectConfig,
    running: Running,
    isOurs: (id: string) => boolean,
  ): Promise<void> {
    const { clock, onChange } = this.#options;
    const { found, stop, connection } = running;
    const { discover, name } = project;
    if (!found || !discover || !this.#config) return;
    const { discovery, id } = found;
    if (await discovery.refresh()) {
      this.#tellDiscovered(name, discovery, 0, [], []);
      onChange();
    }
    // By the monotonic clock while it runs, by the note's time after a start.
    const tried = clock.monotonic() - running.triedAt;
    const listed = clock.now() - (discovery.known?.at ?? Number.NEGATIVE_INFINITY);
    const pause = discovery.known ? discover.every : Math.min(discover.every, FIRST_AGAIN_MS);
    const due = tried >= pause || (running.triedAt === Number.NEGATIVE_INFINITY && listed >= discover.every);
    if (!due || !isOurs(id)) return;
    running.triedAt = clock.monotonic();
    try {
      const { poll, window } = this.#config;
      const source = connection.source(id, poll.timeout, window.utc_offset);
      const { added, missed } = await discovery.list(source, discover.engines, stop.signal);
      const seconds = (clock.monotonic() - running.triedAt) / 1_000;
      this.#tellDiscovered(name, discovery, seconds, added, missed);
      // Also where nothing was added: another replica that listed meanwhile may have written first.
      onChange();
    } catch (error) {
      if (!stop.signal.aborted) this.#options.emit({ kind: "discovery.failed", project: name, error });
    }
  }

  #tellDiscovered(
    project: string,
    { known }: Discovery,
    seconds: number,
    added: readonly DiscoveredInstance[],
    missing: readonly DiscoveredInstance[],
  ): void {
    if (!known) return;
    this.#options.emit({
      kind: "discovery.finished",
      project,
      at: known.at,
      seconds,
      found: known.instances.length,
      added: added.map((each) => each.name),
      missing: missing.map((each) => each.name),
    });
  }
}

export const discoveryOf = (
  { discover }: ProjectConfig,
  projectId: string,
  using: { readonly notes: Notes; readonly clock: Clock },
): Discovery =>
  new Discovery({ projectId, enterpriseProjectId: discover?.enterprise_project_id ?? null, ...using });

/** Named instances, and those that discovery found and the filters let through. A name in the file goes first. */
export function* wantedOf(config: Config, project: ProjectConfig, { known }: Discovery): Iterable<Wanted> {
  for (const instance of project.instances) {
    yield { instance, discovered: false, announce: false, bornWatched: false };
  }
  const { discover } = project;
  if (!discover || !known) return;
  const named = new Set(project.instances.map(({ id }) => id));
  const includes = discover.include.map(compileGlob);
  const excludes = discover.exclude.map(compileGlob);
  for (const found of known.instances) {
    const { id, name, engine, initial } = found;
    if (named.has(id) || !discover.engines.includes(engine)) continue;
    if (includes.length > 0 && !includes.some((fits) => fits(name))) continue;
    if (excludes.some((fits) => fits(name))) continue;
    const instance: InstanceConfig = plainInstance(config, { id, name, engine });
    yield { instance, discovered: true, announce: !initial, bornWatched: isBornWatched(known, found) };
  }
}

async function retire({ stop, connection }: Running): Promise<void> {
  stop.abort(new Error("the project is not configured like this any more"));
  await connection.close();
}
