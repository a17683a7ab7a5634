import { mapsIn, oneAuth, ordered, together, unique } from "./checks/common.ts";
import { checkMaintenance } from "./checks/maintenance.ts";
import { checkProject } from "./checks/projects.ts";
import { checkWebhook } from "./checks/webhooks.ts";
import { checkWindow } from "./checks/window.ts";
import { learn } from "./schema/rules.ts";
import type { Source } from "./source.ts";

const LEARN = learn.parse({});

/**
 * What concerns several values. Runs on the tree, not on what the schema made of it, so that these problems are
 * said together with those of single values.
 */
export function check(source: Source): void {
  const { tree } = source;
  const projects = mapsIn(tree, ["projects"]);
  unique(source, projects, "name", "project");
  unique(source, projects, "project_id", "project");
  for (const [path, project] of projects) checkProject(source, path, project);
  checkWindow(source, []);
  ordered(
    source,
    { path: ["stuck", "learn", "floor"], otherwise: LEARN.floor },
    { path: ["stuck", "learn", "ceiling"], otherwise: LEARN.ceiling },
  );
  together(source, ["store", "tls"], "cert", "key");
  oneAuth(source, ["server", "auth"]);
  const webhooks = mapsIn(tree, ["webhooks"]);
  unique(source, webhooks, "name", "webhook");
  for (const [path, webhook] of webhooks) checkWebhook(source, path, webhook);
  for (const [path, window] of mapsIn(tree, ["maintenance"])) checkMaintenance(source, path, window);
}
