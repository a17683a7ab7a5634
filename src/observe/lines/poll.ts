import { StoreError } from "../../errors.ts";
import type { Operation } from "../../ports/call-gate.ts";
import type { HealthEvent, PollEvent } from "../../ports/telemetry.ts";
import { type Handlers, nothing } from "../handlers.ts";
import type { Log } from "../logger.ts";
import { instanceFields, iso, instanceKeyOf as keyOf, MOST_NAMES, round } from "./fields.ts";
import type { Lasting } from "./persistent-conditions.ts";

type Kinds = Exclude<PollEvent["kind"] | HealthEvent["kind"], "fact">;

/** One debug line per poll. What is down is said once, and once for the whole project, and counted when it is back. */
export function pollLines(log: Log, lasting: Lasting): Handlers<Kinds> {
  const logger = log.component("poll");
  /** Instances that were said to be down, with the polls that failed since they answered last. */
  const down = new Map<string, { failedPolls: number }>();
  /** Operations that failed, by instance: one warning each, then debug lines until a call is answered. */
  const asksFailed = new Map<string, Set<Operation>>();
  const downProjects = new Set<string>();
  return {
    "poll.finished": (event) => {
      const known = down.get(keyOf(event));
      if (known && !event.complete) known.failedPolls += 1;
      const strange = isUnforeseen(event) && lasting.isNews(keyOf(event), String(event.error));
      lasting.polled(keyOf(event), event.complete);
      if (strange) {
        logger.error({ ...instanceFields(event), err: event.error }, "a poll failed for a reason of our own");
      }
      if (!logger.isLevelEnabled("debug")) return;
      const { seconds, lagSeconds, calls, complete, cause, error } = event;
      logger.debug(
        {
          ...instanceFields(event),
          seconds: round(seconds),
          lag_seconds: round(lagSeconds),
          calls,
          ...(complete ? {} : { cause, err: error ?? undefined }),
        },
        complete ? "polled" : "poll failed",
      );
    },
    "instance.down": (event) => {
      const { project, cause, error, failedPolls } = event;
      const fields = { ...instanceFields(event), cause, failed_polls: failedPolls, err: error ?? undefined };
      const known = down.has(keyOf(event));
      if (!known) down.set(keyOf(event), { failedPolls });
      if (known || downProjects.has(project)) logger.debug(fields, "instance is still unreachable");
      else logger.warn(fields, "instance unreachable");
    },
    "instance.up": (event) => {
      const known = down.get(keyOf(event));
      down.delete(keyOf(event));
      logger.info(
        {
          ...instanceFields(event),
          down_seconds: round(event.downSeconds),
          ...(known ? { failed_polls: known.failedPolls } : {}),
        },
        "instance is reachable again",
      );
    },
    "instances.leaving": ({ names, graceSeconds }) =>
      logger.warn(
        { names: names.slice(0, MOST_NAMES), count: names.length, grace_seconds: graceSeconds },
        "instances left out of the configuration",
      ),
    "instance.removed": (event) => {
      down.delete(keyOf(event));
      asksFailed.delete(keyOf(event));
      lasting.forget(keyOf(event));
      logger.info({ ...instanceFields(event), reason: event.reason }, "instance removed");
    },
    "project.down": ({ project, cause, instances }) => {
      if (downProjects.has(project)) return;
      downProjects.add(project);
      logger.warn({ project, cause, instances }, "project unreachable");
    },
    "project.up": ({ project, downSeconds }) => {
      downProjects.delete(project);
      logger.info({ project, down_seconds: round(downSeconds) }, "project is reachable again");
    },
    "ask.failed": (event) => {
      const { operation, error } = event;
      const failed = asksFailed.get(keyOf(event)) ?? new Set();
      asksFailed.set(keyOf(event), failed);
      const level = failed.has(operation) ? "debug" : "warn";
      failed.add(operation);
      logger[level](
        { ...instanceFields(event), operation, err: error },
        "what a listing does not tell could not be asked",
      );
    },
    "ask.answered": (event) => {
      const { operation } = event;
      const failed = asksFailed.get(keyOf(event));
      if (!failed?.delete(operation)) return;
      if (failed.size === 0) asksFailed.delete(keyOf(event));
      logger.info({ ...instanceFields(event), operation }, "follow-up call answered again");
    },
    "maintenance.opened": ({ window, until }) =>
      logger.info({ window, until: iso(until) }, "maintenance window opened"),
    "maintenance.closed": ({ window }) => logger.info({ window }, "maintenance window closed"),
    // Counted only: they happen many times a second, or another line tells of them.
    "poll.merged": nothing,
    "event.committed": nothing,
    "project.load": nothing,
    "thresholds.known": nothing,
  };
}

/** Neither the cloud's nor the store's trouble: a mistake in this program. */
const isUnforeseen = ({ cause, error }: { readonly cause: unknown; readonly error: unknown }): boolean =>
  cause === null && error instanceof Error && !(error instanceof StoreError);
