import { hash } from "node:crypto";
import { rowKey } from "./gathered.ts";
import type { Listed, Page } from "./paging.ts";

interface ListKnowledge {
  /** Rows of the longest page seen. */
  longest: number;
  /** Was the count ever more than the rows beside it? Then it is not just the length of the page. */
  counts: boolean;
  /** Fingerprint of a first page that was found to be the whole list. */
  whole: string;
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
    return this.#lists.get(list)?.whole === fingerprint(page);
  }

  foundWhole(list: string, page: Page<Listed>): void {
    this.#of(list).whole = fingerprint(page);
  }

  /** After the page size that is asked for has changed, nothing is known. */
  forget(): void {
    this.#lists.clear();
  }

  #of(list: string): ListKnowledge {
    const known = this.#lists.get(list);
    if (known) return known;
    const fresh = { longest: 0, counts: false, whole: "" };
    this.#lists.set(list, fresh);
    return fresh;
  }
}

function fingerprint(page: Page<Listed>): string {
  return hash("sha1", `${page.total} ${page.rows.map(rowKey).join(" ")}`, "base64");
}
