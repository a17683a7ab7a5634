import { EVENT_TYPES } from "../../src/core/event.ts";
import { DEMO_KEY, type Simulator } from "../../src/simulator/server.ts";
import { INBOX_SECRET, type Inbox } from "./webhook-receiver.ts";

/** A configuration as it stands in a file; JSON is YAML. */
export type RawConfig = Readonly<Record<string, unknown>>;

export interface RawInstance {
  readonly id: string;
  readonly name: string;
  readonly engine: string;
}

/** The instances of a simulated project. */
export function instancesOf(simulator: Simulator, project = 0): RawInstance[] {
  const projects = simulator.control.projects() as { id: string; instances: RawInstance[] }[];
  return (projects[project]?.instances ?? []).map(({ id, name, engine }) => ({ id, name, engine }));
}

/** One project of the simulator, with the demo key and all its instances, but for what is given. */
export function projectOf(simulator: Simulator, overrides: RawConfig = {}, project = 0): RawConfig {
  const { id } = simulator.control.projects()[project] as { id: string };
  return {
    name: project === 0 ? "prod" : `prod-${project}`,
    region: "eu-west-101",
    project_id: id,
    endpoint: simulator.url,
    iam_endpoint: simulator.url,
    credentials: { access_key: DEMO_KEY.access_key, secret_key: DEMO_KEY.secret_key },
    requests_per_second: 200,
    instances: instancesOf(simulator, project),
    ...overrides,
  };
}

export function webhookOf(inbox: Inbox, overrides: RawConfig = {}): RawConfig {
  return {
    name: "ops",
    url: inbox.url,
    secret: INBOX_SECRET,
    events: EVENT_TYPES,
    retry: { min: "50ms", max: "1s" },
    ...overrides,
  };
}

/** Polls every second, tells all events, and listens on a free port of the loopback. */
export function watchConfig(simulator: Simulator, inbox: Inbox | null, overrides: RawConfig = {}): RawConfig {
  return {
    projects: [projectOf(simulator)],
    poll: { schedule: "* * * * * *", active_schedule: "off" },
    store: { url: "sqlite::memory:" },
    webhooks: inbox ? [webhookOf(inbox)] : [],
    server: { listen: "127.0.0.1:0" },
    ...overrides,
  };
}
