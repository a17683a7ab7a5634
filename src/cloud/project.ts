import type { CredentialsConfig, ProjectConfig } from "../config/config.ts";
import type { CallGate } from "../ports/call-gate.ts";
import type { Clock } from "../ports/clock.ts";
import type { TaskSource } from "../ports/task-source.ts";
import { createAgent } from "./agent.ts";
import { Api } from "./api.ts";
import { keyPairAuth, type RequestAuth, tokenAuth } from "./auth.ts";
import { iamTokenAuth } from "./iam-token.ts";
import { METADATA_ENDPOINT, metadataAuth } from "./metadata.ts";
import type { DialectMemory } from "./paging.ts";
import { findProjectId } from "./projects.ts";
import { createTaskSource } from "./source.ts";
import { Transport } from "./transport.ts";

export interface CloudProjectOptions {
  readonly config: ProjectConfig;
  readonly gate: CallGate;
  readonly clock: Clock;
  /** For one request, whole, milliseconds. */
  readonly timeoutMs: number;
  /** Calls in flight at once, at most. */
  readonly connections: number;
  /** For the proxy variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** One configured project's way to the cloud: its connections, its credentials, and what can be asked. */
export interface CloudProject {
  /** The id of the project, looked up by the region's name. See `findProjectId`. */
  findId(signal: AbortSignal): Promise<string>;
  /** @param utcOffset zone that the API reads times in, milliseconds east of UTC */
  source(projectId: string, utcOffset: number, dialect: DialectMemory): TaskSource;
  /** Ends what is in flight, and all connections. */
  close(): Promise<void>;
}

const METADATA_TIMEOUT_MS = 3_000;
const OPEN_GATE: CallGate = { enter: () => Promise.resolve(() => {}) };

/** Opens nothing yet: connections are made by the first call. */
export function openCloudProject(options: CloudProjectOptions): CloudProject {
  const { config, gate, clock, timeoutMs, connections, env } = options;
  const dispatcher = createAgent({
    connections,
    ca: config.tls?.ca ?? null,
    proxy: config.proxy?.reveal() ?? null,
    env,
  });
  const direct = createAgent({ connections: 1, ca: null, proxy: null, env: {} });
  const lifetime = new AbortController();
  const transport = new Transport({ dispatcher, gate, clock, timeoutMs });
  const metadataTransport = new Transport({
    dispatcher: direct,
    gate: OPEN_GATE,
    clock,
    timeoutMs: METADATA_TIMEOUT_MS,
  });
  const auth = authOf(config, transport, metadataTransport, lifetime.signal);
  const api = new Api(transport, auth);
  return {
    findId: (signal) => findProjectId(api, config.iam_endpoint, config.region, signal),
    source: (projectId, utcOffset, dialect) =>
      createTaskSource({
        api,
        endpoint: config.endpoint,
        projectId,
        enterpriseProjectId: config.discover?.enterprise_project_id ?? null,
        utcOffset,
        dialect,
        clock,
      }),
    close: async () => {
      lifetime.abort(new Error("the project is closed"));
      await Promise.all([dispatcher.destroy(), direct.destroy()]);
    },
  };
}

function authOf(
  config: ProjectConfig,
  transport: Transport,
  metadataTransport: Transport,
  lifetime: AbortSignal,
): RequestAuth {
  const credentials: CredentialsConfig = config.credentials;
  switch (credentials.kind) {
    case "keys":
      return keyPairAuth({
        accessKey: credentials.access_key,
        secretKey: credentials.secret_key.reveal(),
        securityToken: credentials.security_token?.reveal() ?? null,
      });
    case "token":
      return tokenAuth(credentials.token.reveal());
    case "password":
      return iamTokenAuth({
        transport,
        iamEndpoint: config.iam_endpoint,
        user: credentials.user,
        password: credentials.password.reveal(),
        domain: credentials.domain,
        scope: config.project_id === null ? { name: config.region } : { id: config.project_id },
        lifetime,
      });
    case "metadata":
      return metadataAuth({
        transport: metadataTransport,
        endpoint: credentials.endpoint ?? METADATA_ENDPOINT,
        lifetime,
      });
  }
}
