import { type Connections, createAgent } from "../cloud/agent.ts";
import { Api } from "../cloud/api.ts";
import { type Credentials, openCredentials } from "../cloud/credentials.ts";
import { findProjectId } from "../cloud/projects.ts";
import { createTaskSource } from "../cloud/source.ts";
import { Transport } from "../cloud/transport.ts";
import type { ProjectConfig } from "../config/config.ts";
import { fingerprint } from "../config/fingerprint.ts";
import type { ProjectGate } from "../poll/project-gate.ts";
import type { Clock } from "../ports/clock.ts";
import type { TaskSource } from "../ports/task-source.ts";
import type { StoredDialect } from "./stored-dialect.ts";

export interface ConnectionOptions {
  readonly project: ProjectConfig;
  readonly gate: ProjectGate;
  /** Sockets to the endpoint. */
  readonly connections: number;
  /** For one whole request that belongs to no instance: tokens, and the project's id. */
  readonly timeoutMs: number;
  /** What the project's API was found to understand, be it by the connection before. */
  readonly dialect: StoredDialect;
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The way to one project's API, as configured. It lives on through reloads that do not change it. */
export class Connection {
  readonly gate: ProjectGate;
  readonly #options: ConnectionOptions;
  readonly #dispatcher: Connections;
  readonly #credentials: Credentials;
  readonly #apis = new Map<number, Api>();
  readonly #sources = new Map<string, TaskSource>();

  constructor(options: ConnectionOptions) {
    const { project, connections, timeoutMs, env } = options;
    this.#options = options;
    this.gate = options.gate;
    this.#dispatcher = createAgent({
      connections,
      ca: project.tls?.ca ?? null,
      proxy: project.proxy?.reveal() ?? null,
      env,
    });
    this.#credentials = openCredentials(project, this.#transport(timeoutMs));
  }

  get dialect(): StoredDialect {
    return this.#options.dialect;
  }

  /** The project's id: as configured, else looked up once. Rejects with `CloudError`, `UsageError`, or the signal's reason. */
  async projectId(signal: AbortSignal): Promise<string> {
    const { project, timeoutMs } = this.#options;
    if (project.project_id !== null) return project.project_id;
    return await findProjectId(this.#api(timeoutMs), project.iam_endpoint, project.region, signal);
  }

  /** Instances may differ in the time limit of a request and in the zone of the window; few do. */
  source(projectId: string, timeoutMs: number, utcOffset: number): TaskSource {
    const key = `${projectId} ${timeoutMs} ${utcOffset}`;
    const known = this.#sources.get(key);
    if (known) return known;
    const { project, clock, dialect } = this.#options;
    const source = createTaskSource({
      api: this.#api(timeoutMs),
      endpoint: project.endpoint,
      projectId,
      enterpriseProjectId: project.discover?.enterprise_project_id ?? null,
      utcOffset,
      dialect,
      clock,
    });
    this.#sources.set(key, source);
    return source;
  }

  /** Lets calls in flight end. */
  async close(): Promise<void> {
    await this.#dispatcher.close();
    await this.#credentials.close();
  }

  #api(timeoutMs: number): Api {
    const known = this.#apis.get(timeoutMs);
    if (known) return known;
    const api = new Api(this.#transport(timeoutMs), this.#credentials.auth);
    this.#apis.set(timeoutMs, api);
    return api;
  }

  #transport(timeoutMs: number): Transport {
    const { gate, clock } = this.#options;
    return new Transport({ dispatcher: this.#dispatcher, gate, clock, timeoutMs });
  }
}

/** Tells credentials apart without telling them: for locks that outlive the process. */
export const credentialsFingerprint = ({ credentials }: ProjectConfig): string => fingerprint(credentials);

/** Changes when the project may be another one, or another part of it. */
export function projectFingerprint({
  name,
  region,
  project_id,
  iam_endpoint,
  discover,
}: ProjectConfig): string {
  const filter = discover?.enterprise_project_id ?? null;
  return fingerprint({ name, region, project_id, iam_endpoint, filter });
}

/** Changes when anything changes that a connection is made from. */
export function connectionFingerprint(
  project: ProjectConfig,
  limits: Pick<ConnectionOptions, "connections" | "timeoutMs">,
): string {
  const { endpoint, credentials, tls, proxy } = project;
  return fingerprint({ project: projectFingerprint(project), endpoint, credentials, tls, proxy, ...limits });
}
