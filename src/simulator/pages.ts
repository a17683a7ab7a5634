import { z } from "zod";
import type { Refusal } from "./answers.ts";
import type { QueryPairs } from "./signature.ts";
import { firstCreatedAfter } from "./task-list.ts";
import type { Task } from "./tasks.ts";
import { parseCompactTime, parseOffset } from "./time.ts";

const fields = {
  /** The parameter that moves through the list, and the ordinal of the first task; `none` ignores both. */
  paging: z.enum(["start1", "start0", "offset0", "offset1", "none"]),
  unknown_parameters: z.enum(["ignore", "reject"]),
  /** start or offset below the first ordinal. */
  below_first: z.enum(["clamp", "reject"]),
  default_limit: z.int().positive(),
  max_limit: z.int().positive(),
  over_limit: z.enum(["clamp", "reject"]),
  /** `string`, `number`: of the tasks that match; `total`: of all the instance has; `page`: of this page. */
  task_count: z.enum(["string", "number", "absent", "null", "total", "page"]),
  order: z.enum(["newest", "oldest"]),
  filter: z.boolean(),
  end: z.enum(["inclusive", "exclusive"]),
  /** The zone that begin_time and end_time are read in. */
  utc_offset: z
    .string()
    .refine((text) => parseOffset(text) !== undefined, "not an offset; allowed: +00:00, +08:00, -05:30"),
};

export type Dialect = z.output<z.ZodObject<typeof fields>>;

const DEFAULT_DIALECT: Dialect = {
  paging: "start1",
  unknown_parameters: "ignore",
  below_first: "clamp",
  default_limit: 10,
  max_limit: 100,
  over_limit: "clamp",
  task_count: "string",
  order: "newest",
  filter: true,
  end: "inclusive",
  utc_offset: "+00:00",
};

/** What of a dialect can be given; the rest stays as it is. */
export const dialectChange = z.strictObject(fields).partial();

/** How a project's task lists page, count, order and filter. The sources disagree, so every form can be had. */
export const dialect = dialectChange.transform((change) => changeDialect(DEFAULT_DIALECT, change));

export function changeDialect(before: Dialect, change: z.output<typeof dialectChange>): Dialect {
  const given = Object.entries(change).filter(([, value]) => value !== undefined);
  return { ...before, ...Object.fromEntries(given) };
}

export interface PageRequest {
  /** 0-based place of the first task of the page in the list. */
  readonly position: number;
  readonly limit: number;
  /** Epoch ms, both ends included. */
  readonly from: number;
  readonly to: number;
}

export interface Page {
  readonly tasks: readonly Task[];
  /** Tasks that pass the filter. */
  readonly matched: number;
  /** Tasks that the instance has. */
  readonly total: number;
}

const NO_FILTER = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY };

/** Reads the paging and filter parameters in the project's dialect. */
export function parsePageQuery(query: QueryPairs, rules: Dialect): PageRequest | Refusal {
  const word = rules.paging === "none" ? undefined : rules.paging.startsWith("start") ? "start" : "offset";
  const first = rules.paging.endsWith("1") ? 1 : 0;
  let ordinal = first;
  let limit = rules.default_limit;
  let begin = "";
  let end = "";
  for (const [name, value] of query) {
    if (name === "limit" || name === word) {
      if (!/^-?\d{1,15}$/.test(value))
        return invalid("DMS.00400062", `Invalid ${name} parameter in the request.`);
      if (name === "limit") limit = Number(value);
      else ordinal = Number(value);
    } else if (name === "begin_time") begin = value;
    else if (name === "end_time") end = value;
    else if (rules.unknown_parameters === "reject") {
      return invalid("DMS.10540014", "The URL has invalid parameters.");
    }
  }
  if (ordinal < first && rules.below_first === "reject") {
    return invalid("DMS.10240043", "The number of skipped records is invalid.");
  }
  if (limit < 1 || (limit > rules.max_limit && rules.over_limit === "reject")) {
    return invalid("DMS.10240042", "The page size is invalid.");
  }
  const window = rules.filter ? parseWindow(begin, end, rules) : NO_FILTER;
  if ("status" in window) return window;
  return { position: Math.max(0, ordinal - first), limit: Math.min(limit, rules.max_limit), ...window };
}

/** Cuts one page out of a list that is oldest first. */
export function selectPage(list: readonly Task[], rules: Dialect, request: PageRequest): Page {
  const low = request.from === Number.NEGATIVE_INFINITY ? 0 : firstCreatedAfter(list, request.from - 1);
  const high = request.to === Number.POSITIVE_INFINITY ? list.length : firstCreatedAfter(list, request.to);
  const matched = Math.max(0, high - low);
  const count = Math.max(0, Math.min(request.limit, matched - request.position));
  const tasks =
    rules.order === "oldest"
      ? list.slice(low + request.position, low + request.position + count)
      : list.slice(high - request.position - count, high - request.position).reverse();
  return { tasks, matched, total: list.length };
}

/** The member `"task_count":…,` of the answer in the project's form; empty where it is left out. */
export function countMember(name: string, page: Page, form: Dialect["task_count"]): string {
  switch (form) {
    case "absent":
      return "";
    case "null":
      return `"${name}":null,`;
    case "number":
      return `"${name}":${page.matched},`;
    case "string":
      return `"${name}":"${page.matched}",`;
    case "total":
      return `"${name}":"${page.total}",`;
    case "page":
      return `"${name}":"${page.tasks.length}",`;
  }
}

function parseWindow(begin: string, end: string, rules: Dialect): { from: number; to: number } | Refusal {
  const offset = parseOffset(rules.utc_offset) ?? 0;
  const from = begin === "" ? NO_FILTER.from : parseCompactTime(begin, offset);
  const last = end === "" ? NO_FILTER.to : parseCompactTime(end, offset);
  if (from === undefined || last === undefined) return invalid("DMS.00400142", "Timestamp is invalid.");
  return { from, to: end === "" ? last : rules.end === "inclusive" ? last + 999 : last - 1 };
}

function invalid(code: string, message: string): Refusal {
  return { status: 400, code, message };
}
