import type { Config, ProjectConfig } from "../config/config.ts";
import type { InstanceTarget, PollProject } from "../poll/target.ts";
import type { Clock } from "../ports/clock.ts";
import { openStore } from "../store/open.ts";
import { Connection, credentialsFingerprint } from "./connection.ts";
import { Gates } from "./gates.ts";
import { discoveryOf } from "./project-watch.ts";
import { wantedOf } from "./projects.ts";
import { commonRules } from "./rules.ts";
import { StoredDialect } from "./stored-dialect.ts";
import { TargetFactory } from "./targets.ts";

/** A configured project, for whoever asks once and is gone. */
export interface StandaloneProject {
  readonly config: ProjectConfig;
  /** Were the credentials accepted by a call of this process? */
  readonly accepted: () => boolean;
  /**
   * The project and its instances, named and discovered. The calls that this takes (its id where it is not configured,
   * the list of instances where there is discovery) are tried once. Rejects with `CloudError`, `UsageError`, or the
   * signal's reason.
   */
  readonly reach: (
    signal: AbortSignal,
  ) => Promise<{ readonly project: PollProject; readonly targets: readonly InstanceTarget[] }>;
}

/**
 * Opens the configured projects as the daemon does, with the same budget and the same lock of the credentials, but on
 * a store in memory: nothing is read from the configured store and nothing is written to it.
 */
export async function withProjects<T>(
  config: Config,
  { clock, env }: { readonly clock: Clock; readonly env: Readonly<Record<string, string | undefined>> },
  use: (projects: readonly StandaloneProject[]) => Promise<T>,
): Promise<T> {
  const memory = { url: "sqlite::memory:", keyPrefix: config.store.key_prefix, shards: config.store.shards };
  const store = await openStore(memory, { exclusive: true, clock });
  const gates = new Gates(store, clock, () => {});
  const factory = new TargetFactory(config, commonRules(config));
  const connections: Connection[] = [];
  const open = (project: ProjectConfig): StandaloneProject => {
    const gate = gates.gate(project.name, project.requests_per_second, credentialsFingerprint(project));
    const connection = new Connection({
      project,
      gate,
      connections: config.poll.concurrency,
      timeoutMs: config.poll.timeout,
      dialect: new StoredDialect(store.notes, project.name),
      clock,
      env,
    });
    connections.push(connection);
    return {
      config: project,
      accepted: () => gate.key.accepted,
      async reach(signal) {
        const id = await connection.projectId(signal);
        const discovery = discoveryOf(project, id, { notes: store.notes, clock, before: null });
        if (project.discover) {
          const source = connection.source(id, config.poll.timeout, config.window.utc_offset);
          await discovery.list(source, project.discover.engines, signal);
        }
        const known = { config: project, id, connection };
        const reached = factory.project(known);
        const targets = [...wantedOf(config, project, discovery)].map((wanted) =>
          factory.target(known, reached, wanted),
        );
        return { project: reached, targets };
      },
    };
  };
  try {
    return await use(config.projects.map(open));
  } finally {
    await Promise.all(connections.map((connection) => connection.close()));
    await store.close();
  }
}
