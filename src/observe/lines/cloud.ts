import type { ApiEvent } from "../../ports/telemetry.ts";
import { type Handlers, nothing } from "../handlers.ts";
import type { Log } from "../logger.ts";
import { iso, MOST_NAMES, round } from "./fields.ts";

export function cloudLines(log: Log): Handlers<ApiEvent["kind"]> {
  const logger = log.component("cloud");
  /** Projects about which the bad news were told already. */
  const refused = new Set<string>();
  const slowed = new Set<string>();
  const undiscovered = new Set<string>();
  const unknown = new Set<string>();
  return {
    "credentials.refused": ({ project, error, retryAt }) => {
      const fields = { project, err: error, next_try: iso(retryAt) };
      if (refused.has(project)) return logger.debug(fields, "credentials are still refused");
      refused.add(project);
      logger.error(fields, "credentials refused: all calls that use them are stopped");
    },
    "credentials.accepted": ({ project }) => {
      if (refused.delete(project)) logger.info({ project }, "credentials accepted again");
    },
    "credentials.untried": ({ project }) => {
      if (refused.delete(project)) logger.info({ project }, "credentials changed: they are tried");
    },
    "api.budget": ({ project, perSecond, configuredPerSecond }) => {
      const fields = { project, requests_per_second: round(perSecond), configured: configuredPerSecond };
      if (perSecond >= configuredPerSecond) {
        if (slowed.delete(project)) logger.info(fields, "back to full speed");
      } else if (!slowed.has(project)) {
        slowed.add(project);
        logger.warn(fields, "throttled by the cloud: the project's calls are slowed down");
      }
    },
    "discovery.finished": ({ project, found, seconds, added, missing }) => {
      const back = undiscovered.delete(project);
      const fields = {
        project,
        found,
        seconds: round(seconds),
        added: added.length,
        missing: missing.length,
        names: [...added, ...missing].slice(0, MOST_NAMES),
      };
      if (missing.length > 0)
        logger.warn(fields, "instances are not listed any more; they are still watched");
      else if (back || added.length > 0) logger.info(fields, "instances discovered");
      else logger.debug(fields, "instances discovered");
    },
    "discovery.failed": ({ project, error }) => {
      const fields = { project, err: error };
      if (undiscovered.has(project)) return logger.debug(fields, "discovery still fails");
      undiscovered.add(project);
      logger.warn(fields, "discovery failed: the known instances are kept");
    },
    "project.unknown": ({ project, error }) => {
      const fields = { project, err: error };
      if (unknown.has(project)) return logger.debug(fields, "the project's id is still not known");
      unknown.add(project);
      logger.warn(fields, "the project's id could not be looked up: it is not watched yet");
    },
    "project.known": ({ project }) => {
      if (unknown.delete(project)) logger.info({ project }, "the project's id is known");
    },
    "api.request": nothing,
    "api.throttled": nothing,
    "api.budget_wait": nothing,
  };
}
