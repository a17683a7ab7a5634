import type { Row } from "../../src/cloud/decode.ts";
import type { Listed, Page, PageQuery } from "../../src/cloud/paging.ts";
import { CloudError } from "../../src/errors.ts";

export interface ModelRules {
  readonly paging: "start1" | "start0" | "offset0" | "offset1" | "none";
  /** Rows that a page holds at most, whatever was asked for. */
  readonly cap: number;
  /** Larger page sizes than this are refused; null: they are cut to `cap`. */
  readonly refuseAbove: number | null;
  readonly total: "right" | "absent" | "everything" | "page" | "zero";
  readonly order: "newest" | "oldest";
  readonly end: "inclusive" | "exclusive" | "exact";
  /** A parameter that is not known is refused. */
  readonly strict: boolean;
}

const PLAIN: ModelRules = {
  paging: "offset0",
  cap: 100,
  refuseAbove: null,
  total: "right",
  order: "newest",
  end: "inclusive",
  strict: false,
};

export interface ModelTask extends Listed {
  readonly createdAt: number;
}

/** The list of one instance on a server of a given kind, without HTTP. */
export class ModelServer {
  readonly rules: ModelRules;
  tasks: ModelTask[];
  calls = 0;
  /** Runs after each page was made. */
  afterPage: (call: number) => void = () => {};

  constructor(rules: Partial<ModelRules>, tasks: readonly ModelTask[]) {
    this.rules = { ...PLAIN, ...rules };
    this.tasks = [...tasks];
  }

  readonly fetch = (query: PageQuery): Promise<Page<ModelTask>> => {
    this.calls++;
    const answer = this.#answer(query);
    this.afterPage(this.calls);
    return answer instanceof CloudError ? Promise.reject(answer) : Promise.resolve(answer);
  };

  #answer({ limit, from, to, position }: PageQuery): Page<ModelTask> | CloudError {
    const { paging, cap, refuseAbove, total, strict } = this.rules;
    if (refuseAbove !== null && limit > refuseAbove)
      return refused("DMS.10240042", "The page size is invalid.");
    const word = paging === "none" ? null : paging.slice(0, -1);
    const base = paging.endsWith("1") ? 1 : 0;
    let skip = 0;
    if (position !== null && position.name === word) skip = Math.max(0, position.value - base);
    else if (position !== null && strict) return refused("DMS.10540014", "The URL has invalid parameters.");
    const matching = this.#sorted().filter(({ createdAt }) => this.#within(createdAt, from, to));
    const rows = matching
      .slice(skip, skip + Math.min(limit, cap))
      .map((item): Row<ModelTask> => ({ kind: "item", item }));
    const totals = {
      right: matching.length,
      absent: null,
      everything: this.tasks.length,
      page: rows.length,
      zero: 0,
    };
    return { rows, total: totals[total], cloudNow: NOW };
  }

  #within(createdAt: number, from: number | null, to: number | null): boolean {
    if (from !== null && createdAt < second(from)) return false;
    if (to === null) return true;
    const end = second(to);
    if (this.rules.end === "exact") return createdAt <= end;
    return this.rules.end === "inclusive" ? createdAt < end + 1000 : createdAt < end;
  }

  #sorted(): ModelTask[] {
    const sign = this.rules.order === "newest" ? -1 : 1;
    return this.tasks.toSorted((a, b) => sign * (a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1)));
  }
}

export const NOW = Date.parse("2026-11-24T10:00:00Z");

function refused(code: string, message: string): CloudError {
  return new CloudError("bad_response", message, { status: 400, code });
}

function second(time: number): number {
  return Math.floor(time / 1000) * 1000;
}
