import type { ProjectConfig } from "../config/config.ts";
import { CloudError } from "../errors.ts";
import type { CallGate } from "../ports/call-gate.ts";
import { createAgent } from "./agent.ts";
import { keyPairAuth, type RequestAuth, tokenAuth } from "./auth.ts";
import { iamTokenAuth } from "./iam-token.ts";
import { METADATA_ENDPOINT, metadataAuth } from "./metadata.ts";
import { Transport } from "./transport.ts";

/** The credentials of one project at work. */
export interface Credentials {
  readonly auth: RequestAuth;
  /** Ends what keeps them fresh; whoever waits for it fails with a `CloudError`. */
  close(): Promise<void>;
}

const METADATA_TIMEOUT_MS = 3_000;
const OPEN_GATE: CallGate = { enter: () => () => {} };

/**
 * Credentials of any configured form.
 * @param transport the project's own, for a form that asks IAM
 */
export function openCredentials(config: ProjectConfig, transport: Transport): Credentials {
  const { credentials, iam_endpoint, project_id, region } = config;
  const lifetime = new AbortController();
  const end = (): void =>
    lifetime.abort(
      new CloudError("endpoint_unreachable", `project ${config.name}: its connection was closed`),
    );
  switch (credentials.kind) {
    case "keys": {
      const { access_key, secret_key, security_token } = credentials;
      const auth = keyPairAuth({
        accessKey: access_key,
        secretKey: secret_key.reveal(),
        securityToken: security_token?.reveal() ?? null,
      });
      return { auth, close: () => Promise.resolve() };
    }
    case "token":
      return { auth: tokenAuth(credentials.token.reveal()), close: () => Promise.resolve() };
    case "password": {
      const auth = iamTokenAuth({
        transport,
        iamEndpoint: iam_endpoint,
        user: credentials.user,
        password: credentials.password.reveal(),
        domain: credentials.domain,
        scope: project_id === null ? { name: region } : { id: project_id },
        lifetime: lifetime.signal,
      });
      return { auth, close: () => Promise.resolve(end()) };
    }
    case "metadata": {
      const direct = createAgent({ connections: 1, ca: null, proxy: null, env: {} });
      const auth = metadataAuth({
        transport: new Transport({
          dispatcher: direct,
          gate: OPEN_GATE,
          clock: transport.clock,
          timeoutMs: METADATA_TIMEOUT_MS,
        }),
        endpoint: credentials.endpoint ?? METADATA_ENDPOINT,
        lifetime: lifetime.signal,
      });
      return {
        auth,
        close: async () => {
          end();
          await direct.destroy();
        },
      };
    }
  }
}
