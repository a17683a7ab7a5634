import { type Listing, newerSighting, type ObservedTask, type Window } from "../core/task.ts";
import { CloudError } from "../errors.ts";

/** Halves shorter than this are not asked for. */
const SHORTEST_MS = 60_000;

/**
 * Lists a stretch of time. Where the list cannot be read whole, because it is too long or its paging does not add up,
 * its halves are asked for, and theirs, as long as they show more than the whole did. Rejects as `list` does on the
 * first call.
 */
export async function listRange(
  list: (window: Window) => Promise<Listing>,
  window: Window,
): Promise<Listing> {
  return await completed(list, await list(window));
}

async function completed(list: (window: Window) => Promise<Listing>, whole: Listing): Promise<Listing> {
  const { from, to } = whole.window;
  if (whole.complete || whole.cause !== "bad_response" || to - from < 2 * SHORTEST_MS) return whole;
  const middle = Math.floor((from + to) / 2);
  const known = new Set(whole.tasks.map(({ id }) => id));
  const halves: Listing[] = [];
  try {
    halves.push(await list({ from, to: middle }));
    halves.push(await list({ from: middle, to }));
    if (!halves.some((half) => half.complete || half.tasks.some(({ id }) => !known.has(id)))) return whole;
    for (const [index, half] of halves.entries()) halves[index] = await completed(list, half);
    return joined(whole.window, [whole, ...halves], halves);
  } catch (error) {
    if (!(error instanceof CloudError)) throw error;
    return {
      ...joined(whole.window, [whole, ...halves], [whole]),
      gap: error.message,
      cause: error.reason,
      answer: error.answer,
    };
  }
}

/** One listing of what all show; as complete as `covering` are. */
function joined(window: Window, all: readonly Listing[], covering: readonly Listing[]): Listing {
  const tasks = new Map<string, ObservedTask>();
  for (const task of all.flatMap((listing) => listing.tasks)) {
    const other = tasks.get(task.id);
    tasks.set(task.id, other === undefined ? task : newerSighting(other, task));
  }
  const malformed = new Map(
    all.flatMap((listing) => listing.malformed).map((row) => [JSON.stringify(row), row] as const),
  );
  const open = covering.find((listing) => !listing.complete);
  return {
    tasks: [...tasks.values()],
    malformed: [...malformed.values()],
    complete: open === undefined,
    gap: open?.gap ?? null,
    cause: open?.cause ?? null,
    answer: open?.answer ?? null,
    countedMore: false,
    window,
    cloudNow: Math.max(...all.map(({ cloudNow }) => cloudNow)),
  };
}
