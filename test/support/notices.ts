import { type Receiver, startReceiver } from "./receiver.ts";
import { Watchers } from "./watchers.ts";

type Labels = Readonly<Record<string, string>>;

/** One alert of one notification. */
export interface Notice {
  /** Who is told: the last part of the path. */
  readonly receiver: string;
  readonly status: "firing" | "resolved";
  readonly labels: Labels;
  readonly annotations: Labels;
  /** The same as long as the alert lasts. */
  readonly startsAt: string;
}

/** The people at the end of the way: what Alertmanager's webhook receivers are sent, alert by alert. */
export class Notices implements AsyncDisposable {
  readonly all: Notice[] = [];
  readonly #receiver: Receiver;
  readonly #watchers = new Watchers();

  private constructor(receiver: Receiver) {
    this.#receiver = receiver;
    receiver.otherwise(({ path, headers, body }) => {
      const to = path.slice(1);
      if (headers.authorization !== `Bearer ${to}`) return 401;
      const { alerts } = JSON.parse(body) as { alerts: Omit<Notice, "receiver">[] };
      for (const { status, labels, annotations, startsAt } of alerts)
        this.all.push({ receiver: to, status, labels, annotations, startsAt });
      this.#watchers.changed();
      return 200;
    });
  }

  static async start(): Promise<Notices> {
    return new Notices(await startReceiver());
  }

  /** Without a slash at its end. */
  get url(): string {
    return `http://127.0.0.1:${this.#receiver.port}`;
  }

  /** Those that have these labels. */
  of(labels: Labels): Notice[] {
    return this.all.filter((notice) =>
      Object.entries(labels).every(([name, value]) => notice.labels[name] === value),
    );
  }

  /** The first such notice, had or to come. */
  firing(labels: Labels): Promise<Notice> {
    return this.#first("firing", labels);
  }

  resolved(labels: Labels): Promise<Notice> {
    return this.#first("resolved", labels);
  }

  #first(status: Notice["status"], labels: Labels): Promise<Notice> {
    return this.#watchers.until(
      () => this.of(labels).find((notice) => notice.status === status),
      () => {
        const said = this.all.map((notice) => `${notice.status} ${JSON.stringify(notice.labels)}`);
        return `no ${status} ${JSON.stringify(labels)} in:\n${[...new Set(said)].join("\n")}`;
      },
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#receiver.close();
  }
}
