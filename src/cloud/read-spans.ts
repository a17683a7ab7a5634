import { rowKey, sameRows } from "./gathered.ts";
import { Gap, type Listed, type Page, Unmoved } from "./paging.ts";

interface Span {
  /** Epoch milliseconds, whole seconds. */
  readonly from: number;
  /** Null: open. */
  readonly to: number | null;
}

export interface SpanRequest<T> {
  /** A page of the whole span that may be cut off. */
  readonly first: Page<T>;
  readonly from: number;
  readonly to: number | null;
  /** The first page of a span. */
  readonly fetch: (span: Span) => Promise<Page<T>>;
  /** Is the page shorter than what the server gives at most? */
  readonly isWhole: (page: Page<T>) => boolean;
}

const SECOND_MS = 1000;
/** Times may be read in another zone than ours, up to 14 hours ahead. */
const OPEN_END_MS = 15 * 3600 * SECOND_MS;

/**
 * Reads a list by ever shorter spans of time until each fits a page. Neighbours share their boundary second, so that
 * nothing is left out whether the server counts a span's end in or not. No order of rows is relied on.
 * Throws `Unmoved` where the server does not filter by time; and, once all else was read, `Gap` where more than a page
 * stands in one second.
 */
export async function readSpans<T extends Listed>(request: SpanRequest<T>): Promise<void> {
  const horizon = Math.max(floor(request.first.cloudNow), ...secondsOf(request.first)) + OPEN_END_MS;
  const from = floor(request.from);
  const to = request.to === null ? null : ceil(request.to);
  const open: { readonly span: Span; readonly page: Page<T> }[] = [
    { span: { from, to }, page: request.first },
  ];
  let crowded: Gap | null = null;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { span, page } = next;
    // What was learned meanwhile may tell that the page is all there is.
    if (page !== request.first && request.isWhole(page)) continue;
    const end = span.to ?? Math.max(horizon, span.from + SECOND_MS);
    if (end - span.from <= SECOND_MS) {
      crowded = (await readSeconds(request, span, page)) ?? crowded;
      continue;
    }
    const middle = middleOf(page, span.from, end);
    const halves: Span[] = [
      { from: span.from, to: middle },
      { from: middle, to: span.to },
    ];
    const pages: Page<T>[] = [];
    for (const half of halves) pages.push(await request.fetch(half));
    const unchanged = pages.every((half) => !request.isWhole(half) && sameRows(half, page));
    // Both halves rightly show the rows of the second that they share.
    if (unchanged && !secondsOf(page).includes(middle)) {
      throw new Unmoved(
        "bad_response",
        "the list has more than a page, and neither paging nor times change what it shows",
      );
    }
    for (const [index, half] of pages.entries()) {
      const halfSpan = halves[index];
      if (halfSpan && !request.isWhole(half)) open.push({ span: halfSpan, page: half });
    }
  }
  if (crowded) throw crowded;
}

/**
 * Two neighbouring seconds, each asked for alone. Only a server that counts the end in shows anything then; another
 * one has shown one second's worth already, which is more than a page. The gap that this leaves; null for none.
 */
async function readSeconds<T extends Listed>(
  request: SpanRequest<T>,
  { from, to }: Span,
  both: Page<T>,
): Promise<Gap | null> {
  if (to === null) return new Gap("bad_response", "more rows than a page holds are dated in the future");
  const pages: Page<T>[] = [];
  for (const second of [from, to]) pages.push(await request.fetch({ from: second, to: second }));
  const shown = new Set(pages.flatMap((page) => page.rows.map(rowKey)));
  // One row is taken for cut off by its count alone, so that many rows must show.
  const missing = both.rows.length === 1 && shown.size < (both.total ?? 0);
  if (pages.every(request.isWhole) && both.rows.every((row) => shown.has(rowKey(row))) && !missing)
    return null;
  const at = new Date(from).toISOString().slice(0, 19);
  return new Gap("bad_response", `more rows than a page holds were created in the second after ${at}Z`);
}

/**
 * A second strictly between, near the end of the page: newest first or oldest first, most of the page then falls in
 * one half and the unread rest in the other.
 */
function middleOf(page: Page<Listed>, from: number, to: number): number {
  const row = page.rows[Math.floor((page.rows.length * 3) / 4)];
  const time = row?.kind === "item" ? row.item.createdAt : null;
  const second = time === null ? from : floor(time);
  return second > from && second < to ? second : floor((from + to) / 2);
}

function secondsOf(page: Page<Listed>): number[] {
  return page.rows.flatMap((row) =>
    row.kind === "item" && row.item.createdAt !== null ? [floor(row.item.createdAt)] : [],
  );
}

function floor(time: number): number {
  return Math.floor(time / SECOND_MS) * SECOND_MS;
}

function ceil(time: number): number {
  return Math.ceil(time / SECOND_MS) * SECOND_MS;
}
