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

  saw(list: string, page: Page<Listed>): void {
    const knowledge = this.#of(list);
    knowledge.longest = Math.max(knowledge.longest, page.rows.length);
    if (page.total !== null && page.total > page.rows.length) knowledge.counts = true;
  }

  /** Is the page certainly not cut off? Servers that give one row per page are not reckoned with. */
  endsWithin(list: string, limit: number, page: Page<Listed>): boolean {
    const rows = page.rows.length;
    const knowledge = this.#of(list);
    if (rows <= 1 || rows < Math.min(knowledge.longest, limit)) return true;
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
    const fresh = { longest: 0, counts: false, whole: null };
    this.#lists.set(list, fresh);
    return fresh;
  }
}
