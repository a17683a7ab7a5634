import type { TaskwatchEvent } from "./event.ts";
import type { Engine } from "./task.ts";
import type { Privacy } from "./task-fields.ts";

/** What the configuration says about one instance, compiled for the decision. Durations in milliseconds, null is off. */
export interface Rules {
  readonly project: { readonly name: string; readonly id: string; readonly region: string };
  readonly instance: { readonly id: string; readonly name: string; readonly engine: Engine };
  readonly window: WindowRules;
  readonly stuck: StuckRules;
  /** Also watch the list of scheduled tasks. */
  readonly scheduledTasks: boolean;
  readonly failures: { readonly keepOpen: number | null };
  readonly webhooks: readonly WebhookRule[];
  /** End of the maintenance window that mutes this instance at a time, null when none does. */
  readonly mutedUntil: (now: number, task: { readonly name: string } | null) => number | null;
  readonly privacy: Privacy;
  /** Base of links in messages, without a slash at the end; empty for none. */
  readonly externalUrl: string;
}

export interface WindowRules {
  readonly lookback: number;
  readonly overlap: number;
  readonly maxLookback: number;
  readonly sweep: number | null;
  readonly firstPoll: "baseline" | "emit";
}

export interface StuckRules {
  readonly queuedAfter: number;
  readonly runningAfter: number;
  readonly byTask: ReadonlyMap<string, number>;
  readonly instanceRunningAfter: number | null;
  readonly instanceByTask: ReadonlyMap<string, number>;
  readonly noProgressAfter: number | null;
  readonly repeat: number | null;
  readonly learn: LearnRules;
}

export interface LearnRules {
  readonly enabled: boolean;
  readonly quantile: number;
  readonly factor: number;
  readonly minSamples: number;
  readonly floor: number;
  readonly ceiling: number;
}

/** Where events go. `wants` judges type and match; the end of an incident also goes to whoever got its beginning. */
export interface WebhookRule {
  readonly name: string;
  readonly wants: (event: Pick<TaskwatchEvent, "type" | "data">) => boolean;
}
