import { rowKey } from "./gathered.ts";
import type { Listed, Page } from "./paging.ts";

interface Seen {
  readonly keys: readonly (string | null)[];
  readonly total: number | null;
}

interface ListKnowledge {
  /** Rows of the longest page seen. */
  longest: number;
  /** Was the count ever more than the rows beside it? Then it is not just the length of the page. */
  counts: boolean;
  /** The count is not of what was asked for: it was more than 0 over an empty window. */
  countsElse: boolean;
  /** A first page that was found to be the whole list. */
  whole: Seen | null;
}

/**
 * What is known of the pages of each list. A server may give fewer rows than it was asked for and say nothing; only
 * a page that is shorter than another one was is certainly not cut off. Kept by list, because engines behind one
 * endpoint may page differently. Bounded by the number of lists, which is that of a project's instances.
 */
export class ListMemory {
  readonly #lists = new Map<string, ListKnowledge>();

  longest(list: string): number {
    return this.#lists.get(list)?.longest ?? 0;
  }

  /** @param isFirst it is the first page of what was asked for */
  saw(list: string, page: Page<Listed>, isFirst: boolean): void {
    const { rows, total } = page;
    const knowledge = this.#of(list);
    knowledge.longest = Math.max(knowledge.longest, rows.length);
    if (total === null) return;
    if (total > rows.length) knowledge.counts = true;
    if (isFirst && rows.length === 0) knowledge.countsElse = total > 0;
  }

  /** Does the count say that there are more rows than these? Not where it is known to count something else. */
  countsMore(list: string, { rows, total }: Page<Listed>): boolean {
    return total !== null && total > rows.length && !this.#of(list).countsElse;
  }

  /** Is the page certainly not cut off? One row is believed to be all, unless the count says more. */
  endsWithin(list: string, limit: number, page: Page<Listed>): boolean {
    const rows = page.rows.length;
    const knowledge = this.#of(list);
    if (rows === 0 || rows < Math.min(knowledge.longest, limit)) return true;
    if (rows === 1) return !this.countsMore(list, page);
    return knowledge.counts && page.total === rows;
  }

  isWhole(list: string, page: Page<Listed>): boolean {
    const seen = this.#lists.get(list)?.whole;
    return (
      seen?.total === page.total &&
      seen.keys.length === page.rows.length &&
      page.rows.every((row, index) => rowKey(row) === seen.keys[index])
    );
  }

  foundWhole(list: string, page: Page<Listed>): void {
    this.#of(list).whole = { keys: page.rows.map(rowKey), total: page.total };
  }

  /** After the page size that is asked for has changed, nothing is known. */
  forget(): void {
    this.#lists.clear();
  }

  #of(list: string): ListKnowledge {
    const known = this.#lists.get(list);
    if (known) return known;
    const fresh = { longest: 0, counts: false, countsElse: false, whole: null };
    this.#lists.set(list, fresh);
    return fresh;
  }
}
