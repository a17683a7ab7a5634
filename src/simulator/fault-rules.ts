import { z } from "zod";
import { ERROR_SHAPES } from "./answers.ts";
import { MALFORMED } from "./malformed.ts";
import { duration } from "./time.ts";

const globs = z.union([z.string(), z.array(z.string())]).optional();

const when = {
  id: z.string().optional(),
  /** Globs; project and instance match the id or the name. */
  project: globs,
  instance: globs,
  operation: globs,
  key: globs,
  /** Matching calls let through before the fault begins. */
  skip: z.int().nonnegative().default(0),
  /** How many calls are hit; default: no end. */
  times: z.int().positive().optional(),
  probability: z.number().min(0).max(1).default(1),
  /** How long the rule stays, from when it is added. */
  for: duration.optional(),
  /** Waits so long before the answer. */
  delay: duration.default(0),
};

const damages = [
  /** Nothing but the rule's delay. */
  z.strictObject({ kind: z.literal("delay"), ...when }),
  /** Never answers. */
  z.strictObject({ kind: z.literal("hang"), ...when }),
  /** The body is cut; its length is right. */
  z.strictObject({ kind: z.literal("truncated"), keep: z.number().min(0).max(1).default(0.5), ...when }),
  z.strictObject({
    kind: z.literal("drip"),
    bytes: z.int().positive().default(1),
    every: duration.prefault("100ms"),
    ...when,
  }),
  /** Cuts the connection with RST: before any byte, or after so many of the body. */
  z.strictObject({ kind: z.literal("reset"), after_bytes: z.int().nonnegative().optional(), ...when }),
  /** Content-Length is wrong by so much. */
  z.strictObject({ kind: z.literal("wrong_length"), by: z.int().default(10), ...when }),
  /** A right answer inside so many bytes of padding. */
  z.strictObject({
    kind: z.literal("huge"),
    bytes: z
      .int()
      .positive()
      .default(64 * 1024 * 1024),
    gzip: z.boolean().default(false),
    ...when,
  }),
  z.strictObject({ kind: z.literal("empty"), status: z.int().min(200).max(599).default(200), ...when }),
  z.strictObject({
    kind: z.literal("body"),
    status: z.int().min(200).max(599).default(200),
    body: z.string(),
    headers: z.record(z.string(), z.string()).default({}),
    ...when,
  }),
  z.strictObject({
    kind: z.literal("redirect"),
    status: z.int().min(300).max(399).default(302),
    location: z.string(),
    ...when,
  }),
  z.strictObject({
    kind: z.literal("malformed"),
    variant: z.enum(MALFORMED),
    all: z.boolean().default(false),
    ...when,
  }),
] as const;

/** 429 with APIGW.0308; Retry-After, as seconds or a date, only where it is given. */
const throttledRule = z.strictObject({
  kind: z.literal("throttled"),
  limit: z.int().default(5),
  retry_after: z.union([z.number(), z.string()]).optional(),
  ...when,
});
/** The 404 with DMS.10240407 that means throttled. */
const throttled404Rule = z.strictObject({ kind: z.literal("throttled_404"), ...when });
const errorRule = z.strictObject({
  kind: z.literal("error"),
  status: z.int().min(200).max(599),
  code: z.string().default("DMS.00500000"),
  message: z.string().default("Service unavailable."),
  shape: z.enum(ERROR_SHAPES).optional(),
  headers: z.record(z.string(), z.string()).default({}),
  ...when,
});
/** Changes the list when page `after_page` of it has been made, so that the next page shifts. */
const shiftRule = z.strictObject({
  kind: z.literal("shift"),
  after_page: z.int().positive().default(1),
  add: z.int().nonnegative().default(0),
  delete: z.int().nonnegative().default(0),
  /** Which end the deleted tasks are taken from. */
  from: z.enum(["newest", "oldest"]).default("newest"),
  ...when,
});

/** A rule: which calls are hit, how often, and by what. */
export const faultRule = z.discriminatedUnion("kind", [
  ...damages,
  throttledRule,
  throttled404Rule,
  errorRule,
  shiftRule,
]);
export type FaultRule = z.input<typeof faultRule>;
export type Shift = z.output<typeof shiftRule>;
export type Damage = z.output<(typeof damages)[number]>;
