import { expect } from "vitest";
import type { Control } from "../../src/simulator/control.ts";
import type { Letter } from "../support/webhook-receiver.ts";

/** What one task went through in the cloud, and what was told of it. */
interface Story {
  readonly name: string;
  readonly instance: string;
  /** Statuses in the order in which it had them; null at the end: gone. */
  readonly lived: readonly (string | null)[];
  /** Each event once, in the order of first arrival. */
  readonly told: readonly Letter[];
}

const FINAL = new Map([
  ["SUCCESS", "task.succeeded"],
  ["FAILED", "task.failed"],
  ["CANCELLED", "task.cancelled"],
  ["DELETED", "task.deleted"],
]);
const ABOUT_STATUS = new Set(["task.started", "task.status_changed", "task.vanished", ...FINAL.values()]);

function storiesOf(control: Control, events: readonly Letter[]): ReadonlyMap<string, Story> {
  const stories = new Map<
    string,
    { name: string; instance: string; lived: (string | null)[]; told: Letter[] }
  >();
  for (const { task, name, instance, to } of control.transitions()) {
    const story = stories.get(task);
    if (story) story.lived.push(to);
    else stories.set(task, { name, instance, lived: [to], told: [] });
  }
  for (const letter of events) {
    const id = letter.data.task?.id;
    if (id === undefined) continue;
    const story = stories.get(id);
    expect(story, `an event of a task that never was: ${letter.body}`).toBeDefined();
    story?.told.push(letter);
  }
  return stories;
}

/** Has every task ended, and all been told that must be? A status that began and ended between two polls may be left out. */
export function isWhole(control: Control, events: readonly Letter[]): boolean {
  return [...storiesOf(control, events).values()].every(
    (story) => FINAL.has(story.lived.at(-1) ?? "DELETED") && missing(story) === null,
  );
}

/** The last thing that must be told and was not; null for none. */
function missing({ lived, told }: Story): string | null {
  const last = lived.at(-1);
  const statuses = told.filter(({ type }) => ABOUT_STATUS.has(type));
  // Gone after an end was read is no news; gone before anything was read leaves no trace.
  if (last === null) {
    const open = statuses.at(-1);
    const isOpen =
      open !== undefined && open.type !== "task.vanished" && !FINAL.has(open.data.task?.status ?? "");
    return isOpen ? "task.vanished" : null;
  }
  return statuses.at(-1)?.data.task?.status === last ? null : String(last);
}

/** Every promise about what is told, judged against what really happened. Returns the figures. */
export function expectTrueStories(control: Control, events: readonly Letter[]) {
  const stories = storiesOf(control, events);
  const happenings = new Map<string, string>();
  let skipped = 0;
  for (const [id, story] of stories) {
    const say = `${id} lived ${story.lived.join(",")}, told ${story.told.map(({ type, data }) => `${type}(${data.task?.status})`).join(",")}`;
    expect(missing(story), say).toBeNull();
    skipped += story.lived.length - expectSubsequence(story, say);
    const sequences = story.told.map(({ data }) => data.sequence ?? 0);
    expect(sequences, `in order: ${say}`).toEqual([...sequences].sort((a, b) => a - b));
    expect(sequences, `without gaps: ${say}`).toEqual(sequences.map((_, index) => index + 1));
    for (const { type, data, id: eventId } of story.told) {
      // One thing that happened has one id.
      const happening = `${id} ${type} ${data.task?.status} ${data.sequence}`;
      expect(happenings.get(happening) ?? eventId, happening).toBe(eventId);
      happenings.set(happening, eventId);
      if (type === "task.recovered") expectResolved(story, data, stories, say);
    }
  }
  return { tasks: stories.size, transitions: control.transitions().length, events: events.length, skipped };
}

/** What was told of its status is what it went through, in order, each step from the one told before. Returns how many steps. */
function expectSubsequence({ lived, told }: Story, say: string): number {
  let at = -1;
  let before: string | null = null;
  let steps = 0;
  for (const { type, data } of told) {
    if (!ABOUT_STATUS.has(type)) continue;
    const gone = type === "task.vanished";
    const status = data.task?.status ?? "";
    at = lived.indexOf(gone ? null : status, at + 1);
    expect(at, `never happened, or in another order: ${type} in ${say}`).toBeGreaterThanOrEqual(0);
    const fitting = gone
      ? "task.vanished"
      : (FINAL.get(status) ?? (before === null ? "task.started" : "task.status_changed"));
    expect(type, say).toBe(fitting);
    if (!gone) expect(data.previous_status, say).toBe(before);
    before = status;
    steps += 1;
  }
  return steps;
}

function expectResolved(
  story: Story,
  data: Letter["data"],
  stories: ReadonlyMap<string, Story>,
  say: string,
): void {
  expect(data.recovered_from, say).toBe("failure");
  expect(
    story.told.some(({ type }) => type === "task.failed"),
    say,
  ).toBe(true);
  expect(data.resolution, say).toBe("later_success");
  const by = data.resolved_by && "task_id" in data.resolved_by ? data.resolved_by.task_id : "";
  const other = stories.get(by);
  expect(other, say).toMatchObject({ name: story.name, instance: story.instance });
  expect(other?.lived, say).toContain("SUCCESS");
}
