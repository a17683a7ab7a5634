import { setImmediate as nextTurn } from "node:timers/promises";

/** Items that are worked on before other work gets its turn. */
const SLICE = 500;

/** The items in slices, with a turn of the event loop between two of them. */
export async function* inTurns<T>(items: Iterable<T>): AsyncGenerator<readonly T[], void, void> {
  let slice: T[] = [];
  for (const item of items) {
    slice.push(item);
    if (slice.length < SLICE) continue;
    yield slice;
    slice = [];
    await nextTurn();
  }
  yield slice;
}
