import { stringify } from "yaml";
import { formatDuration } from "../util/duration.ts";
import type {
  AuthConfig,
  Config,
  CredentialsConfig,
  InstanceConfig,
  MaintenanceConfig,
  MatchConfig,
  ProjectConfig,
  StuckConfig,
  WebhookConfig,
  WindowConfig,
} from "./config.ts";
import type { Secret } from "./secret.ts";

const HIDDEN = "<secret>";
type Plain = Record<string, unknown>;

/**
 * The resolved configuration as YAML in the form of the file, with every secret masked. Of URLs that count as secrets
 * the scheme and the host stay.
 */
export function maskConfig(config: Config): string {
  return stringify(
    {
      projects: config.projects.map((project) => maskProject(project, config)),
      poll: {
        ...config.poll,
        active_schedule: orOff(config.poll.active_schedule),
        timeout: time(config.poll.timeout),
      },
      window: maskWindow(config.window),
      stuck: maskStuck(config.stuck),
      failures: { keep_open: timeOrOff(config.failures.keep_open) },
      store: maskStore(config.store),
      webhooks: config.webhooks.map(maskWebhook),
      maintenance: config.maintenance.map(maskMaintenance),
      server: {
        ...config.server,
        listen: listenText(config.server.listen),
        tls: config.server.tls ? { cert_file: HIDDEN, key_file: HIDDEN } : undefined,
        auth: maskAuth(config.server.auth),
        stop_timeout: time(config.server.stop_timeout),
      },
      privacy: config.privacy,
      log: config.log,
    },
    { lineWidth: 0, aliasDuplicateObjects: false },
  );
}

/** Scheme and host of a URL, the rest masked. */
export function maskUrl(url: string): string {
  const parsed = URL.parse(url);
  return parsed?.host ? `${parsed.protocol}//${parsed.host}/${HIDDEN}` : HIDDEN;
}

/** Of the URL of a Redis, which may list hosts: nothing else in it is secret. */
const maskUser = (url: string): string => url.replace(/\/\/[^@/]*@/, `//${HIDDEN}@`);

const time = formatDuration;
const timeOrOff = (value: number | null): string => (value === null ? "off" : time(value));
const orOff = (value: string | null): string => value ?? "off";
const set = <T>(value: T | null): T | undefined => value ?? undefined;
const masked = (value: Secret | null): string | undefined => (value === null ? undefined : HIDDEN);
const times = (map: Readonly<Record<string, number>>): Plain =>
  Object.fromEntries(Object.entries(map).map(([key, value]) => [key, time(value)]));

function listenText({ host, port }: Config["server"]["listen"]): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function maskProject(project: ProjectConfig, config: Config): Plain {
  const { discover } = project;
  return {
    ...project,
    project_id: set(project.project_id),
    credentials: maskCredentials(project.credentials),
    tls: project.tls ? { ca_file: HIDDEN } : undefined,
    proxy: project.proxy ? maskUrl(project.proxy.reveal()) : undefined,
    discover: discover
      ? {
          ...discover,
          every: time(discover.every),
          enterprise_project_id: set(discover.enterprise_project_id),
        }
      : undefined,
    instances: project.instances.map((instance) => maskInstance(instance, config)),
  };
}

function maskCredentials(given: CredentialsConfig): Plain {
  switch (given.kind) {
    case "keys":
      return { access_key: HIDDEN, secret_key: HIDDEN, security_token: masked(given.security_token) };
    case "token":
      return { token: HIDDEN };
    case "password":
      return { user: given.user, password: HIDDEN, domain: given.domain };
    case "metadata":
      return { metadata: given.endpoint === null ? true : { endpoint: given.endpoint } };
  }
}

/** An instance with what differs from the rules for all. */
function maskInstance(instance: InstanceConfig, config: Config): Plain {
  const { id, name, engine, poll, window, stuck } = instance;
  const own = {
    poll: different(
      { ...poll, active_schedule: orOff(poll.active_schedule), timeout: time(poll.timeout) },
      {
        ...config.poll,
        active_schedule: orOff(config.poll.active_schedule),
        timeout: time(config.poll.timeout),
      },
    ),
    window: different(maskWindow(window), maskWindow(config.window)),
    stuck: different(maskInstanceStuck(stuck), {
      ...maskStuck(config.stuck),
      by_task: {},
      running_after: undefined,
    }),
  };
  return { id, name, engine, ...own };
}

function different(own: Plain, common: Plain): Plain | undefined {
  const entries = Object.entries(own).filter(
    ([key, value]) => JSON.stringify(value) !== JSON.stringify(common[key]),
  );
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function maskWindow(window: WindowConfig): Plain {
  return {
    ...window,
    lookback: time(window.lookback),
    overlap: time(window.overlap),
    max_lookback: time(window.max_lookback),
    sweep: timeOrOff(window.sweep),
    utc_offset: `${window.utc_offset < 0 ? "-" : "+"}${clock(Math.abs(window.utc_offset) / 60_000)}`,
  };
}

/** Minutes as `HH:MM`. */
function clock(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
}

function maskStuck(stuck: StuckConfig): Plain {
  return { ...maskInstanceStuck(stuck), running_after: time(stuck.running_after) };
}

function maskInstanceStuck(stuck: InstanceConfig["stuck"]): Plain {
  const { learn } = stuck;
  return {
    queued_after: time(stuck.queued_after),
    running_after: stuck.running_after === null ? undefined : time(stuck.running_after),
    by_task: times(stuck.by_task),
    no_progress_after: timeOrOff(stuck.no_progress_after),
    learn: { ...learn, floor: time(learn.floor), ceiling: time(learn.ceiling) },
    repeat: timeOrOff(stuck.repeat),
  };
}

function maskStore(store: Config["store"]): Plain {
  return {
    url: store.kind === "sqlite" ? `sqlite:${store.path}` : maskUser(store.url.reveal()),
    key_prefix: store.key_prefix,
    shards: store.shards,
    lease: time(store.lease),
    keep_events: time(store.keep_events),
    username: set(store.username),
    password: masked(store.password),
    tls: store.tls
      ? {
          ca_file: store.tls.ca === null ? undefined : HIDDEN,
          cert_file: store.tls.cert === null ? undefined : HIDDEN,
          key_file: masked(store.tls.key),
        }
      : undefined,
  };
}

function maskWebhook(webhook: WebhookConfig): Plain {
  const { name, urls, secrets, match, headers, retry, group, ...rest } = webhook;
  const shown = urls.map((url) => maskUrl(url.reveal()));
  return {
    name,
    ...(webhook.format === "alertmanager" ? { urls: shown } : { url: shown[0] }),
    ...rest,
    secret: secrets.length === 0 ? undefined : secrets.map(() => HIDDEN),
    match: maskMatch(match),
    headers: Object.fromEntries(Object.keys(headers).map((name) => [name, HIDDEN])),
    auth: maskAuth(webhook.auth),
    tls: webhook.tls ? { ca_file: HIDDEN } : undefined,
    timeout: time(webhook.timeout),
    retry: times({ ...retry }),
    group: group ? { ...group, wait: time(group.wait), interval: time(group.interval) } : "off",
    dead_letters: time(webhook.dead_letters),
    routing_key: masked(webhook.routing_key),
    template: webhook.template === null ? undefined : HIDDEN,
    content_type: set(webhook.content_type),
  };
}

function maskMatch(match: MatchConfig): Plain | undefined {
  const entries = Object.entries(match).filter(([, globs]) => globs !== null);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function maskAuth(auth: AuthConfig | null): Plain | undefined {
  if (auth === null) return undefined;
  return auth.kind === "bearer" ? { bearer_token: HIDDEN } : { basic: { user: auth.user, password: HIDDEN } };
}

function maskMaintenance(window: MaintenanceConfig): Plain {
  const { kind, match, ...rest } = window;
  const shown =
    kind === "weekly"
      ? { ...rest, from: clock(window.from), to: clock(window.to) }
      : { start: new Date(window.start).toISOString(), end: new Date(window.end).toISOString() };
  return { ...shown, match: maskMatch(match) };
}
