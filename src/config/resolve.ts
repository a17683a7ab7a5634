import type {
  AuthConfig,
  ClientTlsConfig,
  Config,
  CredentialsConfig,
  Engine,
  InstanceConfig,
  MaintenanceConfig,
  MatchConfig,
  MutualTlsConfig,
  ProjectConfig,
  StoreConfig,
  WebhookConfig,
} from "./config.ts";
import { WEEKDAYS } from "./config.ts";
import { endpointsOf } from "./endpoints.ts";
import { MATCH_ALL } from "./match.ts";
import type { Parsed } from "./schema.ts";
import { Secret } from "./secret.ts";

type ParsedProject = Parsed["projects"][number];
type ParsedInstance = ParsedProject["instances"][number];
type ParsedWebhook = Parsed["webhooks"][number];
type ParsedMaintenance = Parsed["maintenance"][number];

/** The rules that hold for every instance, named or discovered. */
type Common = Pick<Config, "poll" | "window" | "stuck">;

/** Makes the configuration of what the schema and the checks let pass: endpoints derived, overrides merged. */
export function resolveConfig(parsed: Parsed): Config {
  return {
    projects: parsed.projects.map((project) => resolveProject(project, parsed)),
    poll: parsed.poll,
    window: parsed.window,
    stuck: parsed.stuck,
    failures: parsed.failures,
    store: resolveStore(parsed.store),
    webhooks: parsed.webhooks.map(resolveWebhook),
    maintenance: parsed.maintenance.map(resolveMaintenance),
    server: {
      ...parsed.server,
      tls: parsed.server.tls
        ? { cert: parsed.server.tls.cert, key: new Secret(parsed.server.tls.key) }
        : null,
      auth: resolveAuth(parsed.server.auth),
    },
    privacy: parsed.privacy,
    log: parsed.log,
  };
}

function resolveProject(project: ParsedProject, common: Common): ProjectConfig {
  const derived = endpointsOf(project.region);
  return {
    name: project.name,
    region: project.region,
    project_id: project.project_id ?? null,
    endpoint: project.endpoint || derived.dms,
    iam_endpoint: project.iam_endpoint || derived.iam,
    credentials: resolveCredentials(project.credentials),
    requests_per_second: project.requests_per_second,
    tls: project.tls ?? null,
    proxy: project.proxy ?? null,
    discover: project.discover
      ? { ...project.discover, enterprise_project_id: project.discover.enterprise_project_id ?? null }
      : null,
    scheduled_tasks: project.scheduled_tasks,
    instances: project.instances.map((instance) => resolveInstance(instance, common)),
  };
}

function resolveCredentials(given: ParsedProject["credentials"]): CredentialsConfig {
  const { access_key, secret_key, token, user, password, domain, metadata } = given;
  if (access_key !== undefined && secret_key !== undefined) {
    return { kind: "keys", access_key, secret_key, security_token: given.security_token ?? null };
  }
  if (token !== undefined) return { kind: "token", token };
  if (user !== undefined && password !== undefined && domain !== undefined) {
    return { kind: "password", user, password, domain };
  }
  if (metadata !== undefined) return { kind: "metadata", endpoint: metadata.endpoint ?? null };
  throw new Error("credentials of no form passed the checks");
}

/** An instance without overrides, as discovery finds it. */
export function plainInstance(
  common: Common,
  found: { id: string; name: string; engine: Engine },
): InstanceConfig {
  return resolveInstance(found, common);
}

function resolveInstance(instance: ParsedInstance, common: Common): InstanceConfig {
  const { by_task, running_after, learn, ...stuck } = instance.stuck ?? {};
  return {
    id: instance.id,
    name: instance.name ?? instance.id,
    engine: instance.engine,
    poll: merge(common.poll, instance.poll),
    window: merge(common.window, instance.window),
    stuck: {
      ...merge(common.stuck, stuck),
      learn: merge(common.stuck.learn, learn),
      by_task: by_task ?? NO_TASKS,
      running_after: running_after ?? null,
    },
  };
}

const NO_TASKS: Readonly<Record<string, number>> = Object.freeze(Object.create(null));

type Overrides<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** What holds for all, with what is set here instead; the same object when nothing is, for there may be thousands. */
function merge<T extends object>(common: T, own: Overrides<T> | undefined): T {
  const set = Object.entries(own ?? {}).filter(([, value]) => value !== undefined);
  return set.length === 0 ? common : { ...common, ...Object.fromEntries(set) };
}

function resolveStore(store: Parsed["store"]): StoreConfig {
  const { url, kind, path } = store.url;
  return {
    ...store,
    url,
    kind,
    path,
    username: store.username ?? null,
    password: store.password ?? null,
    tls: resolveMutualTls(store.tls),
  };
}

function resolveMutualTls(tls: Parsed["store"]["tls"]): MutualTlsConfig | null {
  if (!tls) return null;
  return {
    ca: tls.ca ?? null,
    cert: tls.cert ?? null,
    key: tls.key === undefined ? null : new Secret(tls.key),
  };
}

/** Where PagerDuty takes events of its Events API v2. */
const PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue";

function resolveWebhook(webhook: ParsedWebhook): WebhookConfig {
  const { url, urls, secret, ...rest } = webhook;
  const [first = url ?? new Secret(PAGERDUTY_URL), ...more] = urls ?? [];
  const tls: ClientTlsConfig | null = rest.tls ?? null;
  return {
    ...rest,
    urls: [first, ...more],
    secrets: secret ?? [],
    match: resolveMatch(rest.match),
    auth: resolveAuth(rest.auth),
    tls,
    routing_key: rest.routing_key ?? null,
    template: rest.template ?? null,
    content_type: rest.content_type ?? null,
  };
}

function resolveMatch(match: ParsedWebhook["match"]): MatchConfig {
  return merge(MATCH_ALL, match);
}

function resolveAuth(auth: ParsedWebhook["auth"]): AuthConfig | null {
  if (auth?.bearer_token !== undefined) return { kind: "bearer", token: auth.bearer_token };
  if (auth?.basic !== undefined) return { kind: "basic", ...auth.basic };
  return null;
}

function resolveMaintenance(window: ParsedMaintenance): MaintenanceConfig {
  const { from, to, start, end } = window;
  const match = resolveMatch(window.match);
  if (from !== undefined && to !== undefined) {
    return {
      kind: "weekly",
      days: window.days ?? WEEKDAYS,
      from,
      to,
      timezone: window.timezone ?? "UTC",
      match,
    };
  }
  if (start !== undefined && end !== undefined) return { kind: "absolute", start, end, match };
  throw new Error("a maintenance window of no form passed the checks");
}
