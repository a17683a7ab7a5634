/** Every key of the store. Those of one shard share a hash tag, so that one script may touch them on a cluster. */
export class Keys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Format of the layout, number of shards, and what tells this store from any other. */
  get layout(): string {
    return `{${this.#prefix}}:layout`;
  }

  /** Replica to the time until which it counts as alive. */
  get members(): string {
    return `{${this.#prefix}}:members`;
  }

  get notes(): string {
    return `{${this.#prefix}}:notes`;
  }

  /** `[kind, key]` to a copy of a note that could not be read. */
  get aside(): string {
    return `{${this.#prefix}}:aside`;
  }

  budget(project: string): string {
    return `{${this.#prefix}:b:${project.replaceAll("}", "")}}:budget:${project}`;
  }

  shard(shard: number): ShardKeys {
    const key = (name: string) => `{${this.#prefix}:${shard}}:${name}`;
    return {
      meta: key("meta"),
      revisions: key("rev"),
      records: key("rec"),
      times: key("tim"),
      live: key("live"),
      names: key("names"),
      removals: key("removed"),
      events: key("ev"),
      eventFacts: key("evf"),
      eventIds: key("evid"),
      uses: key("uses"),
      eventLog: key("evlog"),
      hooks: key("hooks"),
      aside: key("aside"),
      tasks: (instance) => key(`t:${instance}`),
      lanes: (webhook) => key(`lanes:${webhook}`),
      due: (webhook) => key(`due:${webhook}`),
      held: (webhook) => key(`held:${webhook}`),
      dead: (webhook) => key(`dead:${webhook}`),
      ages: (webhook) => key(`age:${webhook}`),
    };
  }
}

export interface ShardKeys {
  /** owner, fence, till (server's clock, ms), gen, seq of the last event; `hold:<webhook>` fence of what is held. */
  readonly meta: string;
  /** Instance key to revision, record, and times of its polls. */
  readonly revisions: string;
  readonly records: string;
  readonly times: string;
  /** `liveField` to flags and state of the tasks that run, hang or failed: what a takeover loads. */
  readonly live: string;
  readonly names: string;
  /** How often an instance was removed and its key, by when. */
  readonly removals: string;
  /** seq to the event; seq to what pruning asks; `[task id, event id]` to seq; seq to how many deliveries need it. */
  readonly events: string;
  readonly eventFacts: string;
  readonly eventIds: string;
  readonly uses: string;
  readonly eventLog: string;
  /** `[kind, key]` to a copy of what could not be read: `[at, why]`, a line end, and the bytes as they were. */
  readonly aside: string;
  /** Webhooks that ever had a delivery here. */
  readonly hooks: string;
  /** Task id to state, of one instance. */
  tasks(instance: string): string;
  /** Lane to its deliveries in order, `[seq, event id, attempts, since]` each. */
  lanes(webhook: string): string;
  /** Lanes whose head nobody holds, by when it is due; the seq where it was never tried. */
  due(webhook: string): string;
  /** Lanes whose head is held, with the due time that it gets back. */
  held(webhook: string): string;
  /** seq to dead letter. */
  dead(webhook: string): string;
  /** seq and lane of what is pending, by since. */
  ages(webhook: string): string;
}

/** Instance and task in one field: the length of the first in bytes keeps any two pairs apart. */
export const liveField = (instance: string, taskId: string): string =>
  `${Buffer.byteLength(instance)}:${instance}${taskId}`;

export function splitLiveField(field: string): { readonly instance: string; readonly taskId: string } {
  const colon = field.indexOf(":");
  const bytes = Buffer.from(field.slice(colon + 1));
  const length = Number(field.slice(0, colon));
  return { instance: bytes.toString("utf8", 0, length), taskId: bytes.toString("utf8", length) };
}
