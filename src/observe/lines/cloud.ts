import type { Unwatched } from "../../core/unwatched.ts";
import type { ApiEvent } from "../../ports/telemetry.ts";
import { type Handlers, nothing } from "../handlers.ts";
import type { Log } from "../logger.ts";
import { iso, MOST_NAMES, round } from "./fields.ts";

/** What lasts is said again. */
const REPEAT_MS = 3_600_000;
/** A start takes a moment: what has not failed is not said before. */
const PATIENCE_MS = 60_000;

export function cloudLines(log: Log): Handlers<ApiEvent["kind"]> {
  const logger = log.component("cloud");
  /** Projects about which the bad news were told already. */
  const refused = new Set<string>();
  const slowed = new Set<string>();
  const undiscovered = new Set<string>();
  /** Projects that were said not to be watched as they should be, and when last. */
  const watch = new Map<string, { readonly msg: string; readonly level: string; readonly toldAt: number }>();
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
    "discovery.failed": ({ project, known, error }) => {
      const fields = { project, err: error };
      if (!known || undiscovered.has(project)) return logger.debug(fields, "discovery still fails");
      undiscovered.add(project);
      logger.warn(fields, "discovery failed: the known instances are kept");
    },
    "project.watch": ({ project, at, unwatched, unconfirmed }) => {
      const now = stateOf(unwatched, unconfirmed, at);
      const before = watch.get(project);
      if (now === null) {
        if (watch.delete(project)) logger.info({ project }, "project watched");
        return;
      }
      const { level, msg } = now;
      const same = before?.level === level && before.msg === msg;
      // The clock may have gone back.
      if (same && Math.abs(at - before.toldAt) < REPEAT_MS) return;
      watch.set(project, { level, msg, toldAt: at });
      const { cause, since, reason } = now.what;
      logger[level]({ project, cause, since: iso(since), reason }, msg);
    },
    "api.request": nothing,
    "api.throttled": nothing,
    "api.budget_wait": nothing,
  };
}

/** Null for nothing to say. The program retries a look-up or a list; nobody but a person mends a configuration. */
function stateOf(unwatched: Unwatched | null, unconfirmed: Unwatched | null, at: number) {
  const what = unwatched ?? unconfirmed;
  if (what === null || (what.cause === null && at - what.since < PATIENCE_MS)) return null;
  if (unwatched === null) {
    return { what, level: "warn", msg: "project id lookup failed, remembered id used" } as const;
  }
  const level = what.cause === "not_found" ? "error" : "warn";
  return { what, level, msg: "project not watched" } as const;
}
