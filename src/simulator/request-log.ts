/** One request as it was seen. `status` is 0 while it is not answered, or when the connection was cut. */
export interface LoggedRequest {
  /** From 1, also over those no longer in the log. */
  readonly seq: number;
  /** Epoch ms by the simulator's clock, at arrival. */
  readonly time: number;
  readonly method: string;
  readonly operation: string;
  /** Project id, instance id, task id as in the path; empty where the path has none. */
  readonly project: string;
  readonly instance: string;
  readonly task: string;
  readonly query: string;
  /** Access key of the signature, `token`, or empty. */
  readonly key: string;
  status: number;
  /** The cloud's code of a refusal; empty otherwise. */
  code: string;
  /** Id of the fault that was applied; empty otherwise. */
  fault: string;
}

export interface RequestFilter {
  readonly project?: string | undefined;
  readonly instance?: string | undefined;
  readonly operation?: string | undefined;
  readonly key?: string | undefined;
  readonly status?: number | undefined;
  /** Only requests with a greater seq. */
  readonly after?: number | undefined;
}

/** The most requests that came within any window of the given length, and when that window began. */
export interface WorstWindow {
  readonly count: number;
  readonly from: number;
}

/** Over every filter that is set. */
export function matchesRequest(entry: LoggedRequest, filter: RequestFilter): boolean {
  return (
    (filter.project === undefined || entry.project === filter.project) &&
    (filter.instance === undefined || entry.instance === filter.instance) &&
    (filter.operation === undefined || entry.operation === filter.operation) &&
    (filter.key === undefined || entry.key === filter.key) &&
    (filter.status === undefined || entry.status === filter.status) &&
    (filter.after === undefined || entry.seq > filter.after)
  );
}

/** Over every window [t, t + lengthMs) that begins at one of the times; `times` ascending. */
export function worstWindow(times: readonly number[], lengthMs = 1000): WorstWindow {
  let worst: WorstWindow = { count: 0, from: 0 };
  let first = 0;
  for (let last = 0; last < times.length; last++) {
    while ((times[last] ?? 0) - (times[first] ?? 0) >= lengthMs) first++;
    if (last - first + 1 > worst.count) worst = { count: last - first + 1, from: times[first] ?? 0 };
  }
  return worst;
}
