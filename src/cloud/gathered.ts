import type { Row } from "./decode.ts";
import type { Listed, Page } from "./paging.ts";

/**
 * The rows read so far, and which of them are covered: those that, with nothing left out, reach from the head of
 * the list to the end of the last page that joined on.
 */
export class Gathered<T extends Listed> {
  readonly #items = new Map<string, T>();
  readonly #malformed = new Map<string, { readonly id: string | null; readonly problem: string }>();
  readonly #covered = new Set<string>();
  #told = 0;
  readonly #merge: (a: T, b: T) => T;

  constructor(merge: (a: T, b: T) => T) {
    this.#merge = merge;
  }

  /** Rows told, whether they could be read or not: each once, but for those that nothing identifies. */
  get told(): number {
    return this.#told;
  }

  get items(): readonly T[] {
    return [...this.#items.values()];
  }

  /** Rows that no page showed whole. */
  get malformed(): readonly { readonly id: string | null; readonly problem: string }[] {
    return [...this.#malformed.values()].filter(({ id }) => id === null || !this.#items.has(id));
  }

  /** Keeps what the page shows, wherever in the list it stands. */
  add(page: Page<T>): void {
    for (const row of page.rows) {
      const key = rowKey(row);
      if (key === null || !(this.#items.has(key) || this.#malformed.has(key))) this.#told += 1;
      if (row.kind === "malformed") {
        this.#malformed.set(row.id ?? row.problem, { id: row.id, problem: row.problem });
        continue;
      }
      const known = this.#items.get(row.item.id);
      this.#items.set(row.item.id, known ? this.#merge(known, row.item) : row.item);
    }
  }

  /**
   * Joins a page that is the head of the list, or that shows a covered row: whatever is added or deleted meanwhile,
   * nothing that was there throughout can stand between that row and the rows after it.
   * @returns null when the page does not join; else whether it reaches further than what was covered
   */
  cover(page: Page<T>, isHead: boolean): "further" | "known" | null {
    const keys = page.rows.map(rowKey);
    const joint = keys.findIndex((key) => key !== null && this.#covered.has(key));
    if (joint < 0 && !isHead) return null;
    let outcome: "further" | "known" = "known";
    for (const [index, key] of keys.entries()) {
      if (key === null || this.#covered.has(key)) continue;
      if (index > joint) outcome = "further";
      this.#covered.add(key);
    }
    return outcome;
  }
}

/** Null for a row that nothing identifies. */
export function rowKey(row: Row<Listed>): string | null {
  return row.kind === "item" ? row.item.id : row.id;
}

/** Same rows in the same order. */
export function sameRows(a: Page<Listed>, b: Page<Listed>): boolean {
  return (
    a.rows.length === b.rows.length &&
    a.rows.every((row, index) => {
      const other = b.rows[index];
      return other !== undefined && rowKey(row) === rowKey(other);
    })
  );
}
