import type { InstanceRecord, NameKnowledge } from "../../core/state.ts";
import { decodeRecord, mustBeSketch } from "../codec.ts";

export interface InstanceRow {
  readonly key: string;
  readonly revision: number;
  readonly last_complete_at: number | null;
  readonly last_sweep_at: number | null;
  readonly record: string;
}

export interface TaskRow {
  readonly instance: string;
  readonly id: string;
  readonly state: string;
}

export interface NameRow {
  readonly project_id: string;
  readonly name: string;
  readonly executed: number;
  readonly sketch: string | null;
}

/** Throws where it cannot be read. */
export const recordOf = (
  row: Pick<InstanceRow, "record" | "last_complete_at" | "last_sweep_at">,
): InstanceRecord =>
  decodeRecord(row.record, { lastCompleteAt: row.last_complete_at, lastSweepAt: row.last_sweep_at });

/** Throws where it cannot be read. */
export const nameOf = (row: NameRow): NameKnowledge => ({
  projectId: row.project_id,
  name: row.name,
  executed: row.executed !== 0,
  sketch: mustBeSketch(row.sketch),
});
