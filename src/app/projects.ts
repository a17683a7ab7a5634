import type { Config, ProjectConfig } from "../config/config.ts";
import type { PollProject, Target } from "../poll/target.ts";
import type { Clock } from "../ports/clock.ts";
import type { Notes } from "../ports/store.ts";
import { Connection, connectionPrint, credentialsPrint } from "./connection.ts";
import type { Gates } from "./gates.ts";
import { commonRules } from "./rules.ts";
import { type KnownProject, TargetFactory } from "./targets.ts";

export interface ProjectsOptions {
  readonly gates: Gates;
  readonly notes: Notes;
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What is to be watched has changed: a configuration took force, or a project's id became known. */
  readonly onChange: () => void;
  /** A project id could not be looked up; it is tried again. */
  readonly onLookupFailed: (project: string, error: unknown) => void;
}

interface Running {
  readonly print: string;
  readonly connection: Connection;
  readonly skew: { ms: number };
  readonly stop: AbortController;
  /** Null until it was looked up. */
  id: string | null;
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
    const { gates } = this.#options;
    const before = this.#running;
    const next = new Map<string, Running>();
    const added: [ProjectConfig, Running][] = [];
    for (const project of config.projects) {
      const print = connectionPrint(project);
      const known = before.get(project.name);
      // Also a connection that stays gets its budget anew: the pacer is shared by name.
      const gate = gates.gate(project.name, project.requests_per_second, credentialsPrint(project));
      if (known?.print === print) next.set(project.name, known);
      else {
        const { notes, clock, env } = this.#options;
        const connections = config.poll.concurrency;
        const connection = new Connection({ project, gate, connections, notes, clock, env });
        const running = { print, connection, skew: { ms: 0 }, stop: new AbortController(), id: null };
        next.set(project.name, running);
        added.push([project, running]);
      }
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
      if (!running?.id) continue;
      const known: KnownProject = { config: project, ...running, id: running.id };
      const poll = factory.project(known);
      projects.push(poll);
      for (const instance of project.instances) {
        targets.push(factory.target(known, poll, { instance, discovered: false, bornWatched: false }));
      }
    }
    return { projects, targets };
  }

  /** Are the ids of all configured projects known? Until then, what is not wanted cannot be told. */
  get complete(): boolean {
    return [...this.#running.values()].every(({ id }) => id !== null);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running.values()].map(retire));
  }

  async #find(project: ProjectConfig, running: Running): Promise<void> {
    const { onChange, onLookupFailed } = this.#options;
    try {
      running.id = await running.connection.projectId(running.stop.signal, (error) =>
        onLookupFailed(project.name, error),
      );
    } catch {
      return;
    }
    if (!running.stop.signal.aborted) onChange();
  }
}

async function retire({ stop, connection }: Running): Promise<void> {
  stop.abort(new Error("the project is not configured like this any more"));
  await connection.close();
}
