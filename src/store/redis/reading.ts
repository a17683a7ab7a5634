import type { InstanceRecord, InstanceState, NameKnowledge, TaskState } from "../../core/state.ts";
import type { Unreadable } from "../../ports/store.ts";
import { decodeRecord, decodeTask, mustBeSketch, type RecordTimes } from "../codec.ts";
import { MalformedText, nameRecordKey, parseList, RecordReader, taskRecordKey } from "../unreadable.ts";

/** An instance as the hashes of its shard have it. */
export interface InstanceTexts {
  readonly key: string;
  readonly revision: string;
  readonly record: string;
  readonly times: string;
}

export interface LostTask extends Unreadable {
  readonly instance: string;
  readonly id: string;
  /** Was it open when it was written last? Null where that must be looked up. */
  readonly wasOpen: boolean | null;
}

/** Reads texts of one shard, each by itself, and remembers those that cannot be read, with what finds them again. */
export class Reading {
  readonly shard: number;
  /** Those that were read, and those whose record was not. */
  readonly texts = new Map<string, InstanceTexts>();
  readonly instances: Unreadable[] = [];
  readonly tasks: LostTask[] = [];
  readonly names: (Unreadable & { readonly field: string })[] = [];

  constructor(shard: number) {
    this.shard = shard;
  }

  get isWhole(): boolean {
    return this.instances.length + this.tasks.length + this.names.length === 0;
  }

  instance(texts: InstanceTexts, tasks: ReadonlyMap<string, TaskState>): InstanceState | undefined {
    this.texts.set(texts.key, texts);
    const reader = new RecordReader();
    const state = reader.read(this.shard, "instance", texts.key, () => ({
      record: recordOf(texts),
      revision: revisionOf(texts.revision),
      tasks,
    }));
    this.instances.push(...reader.unreadable);
    return state;
  }

  task(instance: string, id: string, text: string, wasOpen: boolean | null): TaskState | undefined {
    const reader = new RecordReader();
    const key = taskRecordKey(instance, id);
    const task = reader.read(this.shard, "task", key, () => decodeTask(id, text));
    for (const each of reader.unreadable) this.tasks.push({ ...each, instance, id, wasOpen });
    return task;
  }

  name(entry: readonly [string, string]): NameKnowledge | undefined {
    const reader = new RecordReader();
    const name = reader.read(this.shard, "name", nameKeyOf(entry[0]), () => nameOf(entry));
    for (const each of reader.unreadable) this.names.push({ ...each, field: entry[0] });
    return name;
  }
}

/** Throws where it cannot be read. */
export const recordOf = ({ record, times }: Pick<InstanceTexts, "record" | "times">): InstanceRecord =>
  decodeRecord(record, timesOf(times));

export const timesOf = (text: string): RecordTimes => {
  const [complete = "", sweep = ""] = text.split(" ");
  return { lastCompleteAt: timeOf(complete), lastSweepAt: timeOf(sweep) };
};

/** None where it is not a number: an older time only widens the next window. */
const timeOf = (text: string): number | null =>
  text === "" || !Number.isFinite(Number(text)) ? null : Number(text);

function revisionOf(text: string): number {
  const revision = Number(text);
  if (Number.isSafeInteger(revision)) return revision;
  throw new MalformedText("its revision is not a number");
}

/** Throws where it cannot be read. */
export function nameOf([field, value]: readonly [string, string]): NameKnowledge {
  const [projectId, name] = parseList(field);
  const [executed, sketch] = parseList(value);
  if (typeof projectId !== "string" || typeof name !== "string")
    throw new MalformedText("its key is not a project and a name");
  if (typeof executed !== "boolean") throw new MalformedText("executed is not true or false");
  if (sketch !== null && typeof sketch !== "string") throw new MalformedText("its sketch is not a text");
  return { projectId, name, executed, sketch: mustBeSketch(sketch) };
}

/** As a person reads it, where the field can be read at all. */
export function nameKeyOf(field: string): string {
  try {
    const [projectId, name] = JSON.parse(field) as [string, string];
    return nameRecordKey(projectId, name);
  } catch {
    return field;
  }
}

/** An instance that was removed several times is there several times. */
export function removalsOf(members: unknown): ReadonlyMap<string, number> {
  const removals = new Map<string, number>();
  for (const member of members as readonly string[]) {
    const key = member.slice(member.indexOf(" ") + 1);
    removals.set(key, Math.max(removals.get(key) ?? 0, Number.parseInt(member, 10)));
  }
  return removals;
}
