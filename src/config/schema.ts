import type { z } from "zod";
import { maintenanceWindow } from "./schema/maintenance.ts";
import { project } from "./schema/projects.ts";
import { failures, poll, stuck, window } from "./schema/rules.ts";
import { log, privacy, server, store } from "./schema/server.ts";
import { list, object } from "./schema/shapes.ts";
import { webhook } from "./schema/webhooks.ts";

/**
 * The keys of the file, their types and defaults. It judges each value by itself; what concerns several values is in
 * checks.ts, and resolve.ts makes the `Config` of what passed both.
 */
export const schema = object({
  projects: list(project, "projects"),
  poll: poll.prefault({}),
  window: window.prefault({}),
  stuck: stuck.prefault({}),
  failures: failures.prefault({}),
  store: store.prefault({}),
  webhooks: list(webhook, "webhooks", 0).prefault([]),
  maintenance: list(maintenanceWindow, "maintenance windows", 0).prefault([]),
  server: server.prefault({}),
  privacy: privacy.prefault({}),
  log: log.prefault({}),
});

/** What the schema makes of a file: types and defaults, but nothing derived or merged yet. */
export type Parsed = z.output<typeof schema>;
