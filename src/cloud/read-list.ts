import type { Cause, CloudAnswer } from "../core/cause.ts";
import { CloudError } from "../errors.ts";
import { refusesPageSize } from "./classify.ts";
import { Gathered, rowKey, sameRows } from "./gathered.ts";
import type { ListMemory } from "./list-memory.ts";
import {
  type DialectMemory,
  type FetchPage,
  Gap,
  type Listed,
  type Page,
  type PageQuery,
  type PositionName,
  Unmoved,
} from "./paging.ts";
import { readSpans } from "./read-spans.ts";

export interface ListRequest<T> {
  /** Names the list within its memory. */
  readonly list: string;
  readonly fetch: FetchPage<T>;
  /** Epoch milliseconds, null: open. With `from` null the list cannot be split by time. */
  readonly from: number | null;
  readonly to: number | null;
  /** Which of two sightings to believe. */
  readonly merge: (a: T, b: T) => T;
  /** Page sizes to ask for, the largest first. */
  readonly limits: readonly [number, ...number[]];
  readonly names: readonly PositionName[];
  readonly dialect: DialectMemory;
  readonly memory: ListMemory;
  /** Where this many calls are not enough, the list is not read whole. */
  readonly maxCalls: number;
}

export interface ListResult<T> {
  /** Ids are distinct. */
  readonly items: readonly T[];
  readonly malformed: readonly { readonly id: string | null; readonly problem: string }[];
  /** Null: everything that was in the list throughout is in `items` or `malformed`. */
  readonly gap: {
    readonly cause: Cause;
    readonly problem: string;
    /** Of the call that failed. */
    readonly answer: CloudAnswer | null;
  } | null;
  /** The list is whole, and its count says more than it holds. */
  readonly countedMore: boolean;
  /** Of the first page: what was added later may not show. */
  readonly cloudNow: number;
}

/** Tries to find the joint again, in steps that grow fourfold, before a list is given up. */
const MAX_LOSSES = 8;
/** Pages in a row that do not lead further. One can come from a shift or from a count that begins at 1. */
const MAX_STALLS = 3;
/** Times that a list of one-row pages is walked until two walks agree. */
const MAX_WALKS = 4;

/**
 * Reads a whole list page by page from a server whose paging is not known for sure, while rows are added and
 * deleted. Each next page is asked for so that it should begin with the last row seen. A page that shows no row seen
 * before tells that rows were deleted: a step back finds the joint. Pages that never lead further tell that the
 * parameter is ignored: the other one is tried, and then the list is split by time.
 *
 * An error on the first page is thrown. On a later one it ends the list, which then is a part with a gap.
 */
export async function readList<T extends Listed>(request: ListRequest<T>): Promise<ListResult<T>> {
  const reader = new ListReader(request);
  const first = await reader.first();
  const gathered = reader.gathered;
  let gap: ListResult<T>["gap"] = null;
  try {
    if (!reader.endsAt(first)) await reader.rest(first);
  } catch (error) {
    if (!(error instanceof Gap || error instanceof CloudError)) throw error;
    const answer = error instanceof CloudError ? error.answer : null;
    gap = { cause: error.reason, problem: error.message, answer };
  }
  return {
    items: gathered.items,
    malformed: gathered.malformed,
    gap,
    countedMore: gap === null && reader.countedMore,
    cloudNow: first.cloudNow,
  };
}

class ListReader<T extends Listed> {
  readonly gathered: Gathered<T>;
  readonly #request: ListRequest<T>;
  #limit: number;
  /** A parameter moved through the list, but not to its end. */
  #lost = false;
  #calls = 0;
  #longestBefore = 0;
  /** By the latest page of the whole window. */
  #total: number | null = null;

  constructor(request: ListRequest<T>) {
    this.#request = request;
    this.gathered = new Gathered(request.merge);
    this.#limit = request.dialect.read()?.limit ?? request.limits[0];
  }

  get countedMore(): boolean {
    return this.#total !== null && this.#total > this.gathered.told;
  }

  async first(): Promise<Page<T>> {
    const { list, limits, dialect, memory } = this.#request;
    const asked = this.#limit;
    for (;;) {
      this.#longestBefore = memory.longest(list);
      try {
        const page = await this.#page(null);
        if (this.#limit !== asked) {
          dialect.learned({ position: dialect.read()?.position ?? null, limit: this.#limit });
        }
        return page;
      } catch (error) {
        const smaller = limits.find((limit) => limit < this.#limit);
        if (smaller === undefined || !(error instanceof CloudError) || !refusesPageSize(error)) throw error;
        this.#limit = smaller;
        // Pages of another size tell nothing of pages of this one.
        memory.forget();
      }
    }
  }

  /** Throws `Gap` or `CloudError` where the rest cannot be read. */
  async rest(first: Page<T>): Promise<void> {
    const { list, memory } = this.#request;
    this.gathered.cover(first, true);
    const before = this.gathered.told;
    try {
      await this.#behind(first);
    } catch (error) {
      if (!(error instanceof Unmoved) || !this.#isAllThatIsShown(first)) throw error;
      memory.foundWhole(list, first);
      return;
    }
    if (this.gathered.told !== before) return;
    const rows = first.rows.length;
    // A count that said more and changed meanwhile may have counted a row that is gone: later, another one's.
    if (first.total !== null && first.total > rows && first.total !== this.#total) return;
    if (rows === 1 || rows < memory.longest(list) || isNewestFirst(first)) memory.foundWhole(list, first);
  }

  async #behind(first: Page<T>): Promise<void> {
    const { dialect } = this.#request;
    if (dialect.read()?.position !== "none") {
      if (!(await this.#byPosition(first))) await this.#bySpans(first);
    } else {
      // What was learned may not hold for every engine, nor for ever.
      await this.#bySpans(first).catch(async (error: unknown) => {
        if (!(error instanceof Gap) || !(await this.#byPosition(first))) throw error;
      });
    }
  }

  /**
   * Of a list that nothing moves through: does the page look like all of it? A server that takes no parameters shows
   * everything at once. The count may say more, as in the cloud's own sample, where the page is smaller than any cut.
   */
  #isAllThatIsShown({ rows, total }: Page<T>): boolean {
    if (this.#lost) return false;
    if (total !== null && total <= rows.length) return true;
    if (total === null) return rows.length !== this.#limit;
    return rows.length < Math.min(...this.#request.limits);
  }

  /**
   * Is this first page the whole list? A page as long as the longest seen may be cut off, whatever the count says; one
   * of a single row, where the count says so.
   */
  endsAt(first: Page<T>): boolean {
    const { list, memory } = this.#request;
    const rows = first.rows.length;
    if (rows === 0) return true;
    if (rows >= this.#limit) return false;
    if ((rows === 1 || rows < this.#longestBefore) && !memory.countsMore(list, first)) return true;
    return memory.isWhole(list, first);
  }

  /** False when no parameter moves through the list. */
  async #byPosition(first: Page<T>): Promise<boolean> {
    const { dialect, names } = this.#request;
    const known = dialect.read()?.position ?? null;
    let certain = first.rows.length > 2;
    for (const name of [...names].sort((a, b) => Number(b === known) - Number(a === known))) {
      const outcome = await (first.rows.length > 1 ? this.#byName(name, first) : this.#oneByOne(name, first));
      if (outcome === "whole") return true;
      if (outcome === "lost") {
        certain = false;
        this.#lost = true;
      }
    }
    if (certain && known !== "none") dialect.learned({ position: "none", limit: this.#limit });
    return false;
  }

  async #bySpans(first: Page<T>): Promise<void> {
    const { list, memory, from, to } = this.#request;
    if (from === null) {
      throw new Unmoved("bad_response", "the list has more than a page, and no parameter moves through it");
    }
    await readSpans({
      first,
      from,
      to,
      fetch: (span) => this.#fetch({ ...span, position: null }),
      isWhole: (page) => memory.endsWithin(list, this.#limit, page),
    });
  }

  async #byName(name: PositionName, first: Page<T>): Promise<"whole" | "ignored" | "refused" | "lost"> {
    const { list, memory } = this.#request;
    // Where the count begins at 1, this shows the last two rows again instead of one: no harm.
    let value = first.rows.length - 1;
    let back = 1;
    let losses = 0;
    let stalls = 0;
    let moved = false;
    for (;;) {
      const isHead = value <= 0;
      let page: Page<T>;
      try {
        page = await this.#page(isHead ? null : { name, value });
      } catch (error) {
        if (error instanceof CloudError && error.status === 400) return "refused";
        throw error;
      }
      const reach = this.gathered.cover(page, isHead);
      if (reach === null) {
        if (++losses > MAX_LOSSES) return "lost";
        value -= back;
        back *= 4;
        continue;
      }
      if (!isHead && page.rows.length > 2 && sameRows(page, first)) return moved ? "lost" : "ignored";
      if (!isHead && movedOn(page, first)) {
        moved = true;
        this.#learn(name);
      }
      if (page.rows.length < memory.longest(list)) return "whole";
      if (reach === "further") {
        back = 1;
        losses = 0;
        stalls = 0;
      } else if (++stalls >= MAX_STALLS) return moved ? "lost" : "ignored";
      value = Math.max(0, value) + page.rows.length - 1;
    }
  }

  /**
   * Reads on after a page of one row, which shares no row with the next page: nothing shows that a shift left one out.
   * So the list is walked twice. When both walks show the same rows, all of them were there when the first one found
   * the end, and the list had no more than these.
   */
  async #oneByOne(name: PositionName, first: Page<T>): Promise<"whole" | "ignored" | "refused" | "lost"> {
    let before: string | null = null;
    let head = first;
    for (let walk = 0; walk < MAX_WALKS; walk++) {
      const keys = await this.#walk(name, head);
      if (typeof keys === "string") return keys;
      this.#learn(name);
      const shown = JSON.stringify(keys);
      if (shown === before) return "whole";
      before = shown;
      head = await this.#page(null);
    }
    return "lost";
  }

  /** The rows from the head to the first empty page. */
  async #walk(name: PositionName, head: Page<T>): Promise<(string | null)[] | "ignored" | "refused"> {
    const keys = head.rows.map(rowKey);
    let before = head;
    for (let value = keys.length; ; ) {
      let page: Page<T>;
      try {
        page = await this.#page({ name, value });
      } catch (error) {
        if (error instanceof CloudError && error.status === 400) return "refused";
        throw error;
      }
      if (page.rows.length === 0) return keys;
      // Where positions begin at 1, the first page shows the head again, but no later one what the page before showed.
      if (value > head.rows.length && sameRows(page, before)) return "ignored";
      keys.push(...page.rows.map(rowKey));
      value += page.rows.length;
      before = page;
    }
  }

  #learn(name: PositionName): void {
    const { dialect } = this.#request;
    if (dialect.read()?.position !== name) dialect.learned({ position: name, limit: this.#limit });
  }

  /** A page of the whole window; `position` null: the first one. */
  async #page(position: PageQuery["position"]): Promise<Page<T>> {
    const { from, to } = this.#request;
    const page = await this.#fetch({ from, to, position });
    this.#total = page.total;
    return page;
  }

  async #fetch(query: Omit<PageQuery, "limit">): Promise<Page<T>> {
    const { list, fetch, maxCalls, memory } = this.#request;
    if (this.#calls >= maxCalls) {
      throw new Gap("bad_response", `the list was not read to its end within ${maxCalls} calls`);
    }
    this.#calls++;
    const page = await fetch({ ...query, limit: this.#limit });
    this.gathered.add(page);
    memory.saw(list, page, query.position === null);
    return page;
  }
}

/** Does the page begin behind the list's first row? */
function movedOn(page: Page<Listed>, first: Page<Listed>): boolean {
  const [begin] = page.rows;
  const [head] = first.rows;
  if (begin === undefined || head === undefined) return false;
  const key = rowKey(begin);
  return key !== rowKey(head) && first.rows.some((row) => rowKey(row) === key);
}

/** Then a new row shows at the front, and a page that has not changed has nothing new behind it either. */
function isNewestFirst(page: Page<Listed>): boolean {
  const times = page.rows.map((row) => (row.kind === "item" ? row.item.createdAt : null));
  let last = Number.POSITIVE_INFINITY;
  for (const time of times) {
    if (time === null || time > last) return false;
    last = time;
  }
  return (times[0] ?? 0) > last;
}
