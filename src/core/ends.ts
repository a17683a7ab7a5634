import type { Draft } from "./draft.ts";
import type { NameEnds, TaskState } from "./state.ts";

/** Most task names that an instance keeps last ends for: as many as a project has series for. */
export const ENDS_CAP = 200;

const latest = ({ successAt, failureAt }: NameEnds): number => Math.max(successAt ?? 0, failureAt ?? 0);

/** Keeps the updated_at of the last task of each name that ended SUCCESS or FAILED; the longest idle names go first. */
export function recordEnd(draft: Draft, task: TaskState): void {
  const { status, name, updatedAt } = task;
  if (updatedAt === null || (status !== "SUCCESS" && status !== "FAILED")) return;
  const { ended } = draft.record;
  const index = ended.findIndex((entry) => entry.name === name);
  const known = ended[index] ?? { name, successAt: null, failureAt: null };
  const key = status === "SUCCESS" ? "successAt" : "failureAt";
  const before = known[key];
  if (before !== null && before >= updatedAt) return;
  const next = [...ended.filter((_, at) => at !== index), { ...known, [key]: updatedAt }];
  if (next.length > ENDS_CAP) next.sort((a, b) => latest(b) - latest(a)).length = ENDS_CAP;
  draft.record = { ...draft.record, ended: next };
}
