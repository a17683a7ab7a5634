import { z } from "zod";
import { type Answer, type CodePrefix, type Refusal, refuse } from "./answers.ts";
import { answerDms, noSuchApi } from "./dms.ts";
import { type ActiveFault, Faults } from "./faults.ts";
import { issueToken, listProjects } from "./iam.ts";
import type { Caller } from "./keys.ts";
import { Metadata, metadataOptions } from "./metadata.ts";
import { problemsOf } from "./problems.ts";
import { DEMO_KEY, newProject } from "./project.ts";
import { hexId } from "./random.ts";
import { admit } from "./rate-limit.ts";
import type { LoggedRequest } from "./request-log.ts";
import { Ring } from "./ring.ts";
import { findRoute, type Route } from "./routes.ts";
import { parseQuery } from "./signature.ts";
import { duration } from "./time.ts";
import { World } from "./world.ts";

export const serviceOptions = z.strictObject({
  /** Default: one project with DEMO_KEY and no instances. */
  projects: z
    .array(newProject)
    .min(1)
    .prefault([{ keys: [DEMO_KEY] }]),
  /** False: every caller is let in. */
  check_signatures: z.boolean().default(true),
  code_prefix: z.enum(["APIGW", "APIG"]).default("APIGW"),
  metadata: metadataOptions.prefault({}),
  token_lifetime: duration.prefault("24h"),
  /** How far the Date header is ahead of the simulator's clock, ms; negative: behind. */
  date_skew: z.number().default(0),
  /** Requests kept in the log. */
  log_size: z.int().positive().default(10_000),
  seed: z.int().default(1),
});
export type ServiceOptions = z.input<typeof serviceOptions>;

export interface IncomingCall {
  readonly method: string;
  /** Path and query as in the request line. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface ServiceAnswer {
  readonly answer: Answer;
  readonly headers: Readonly<Record<string, string>>;
  /** How the answer is to be damaged on its way. */
  readonly fault: ActiveFault | null;
}

/** Called after a page of a task list was made, before it is sent; `page` counts from 1 at each first page. */
export type PageHook = (served: {
  readonly project: string;
  readonly instance: string;
  readonly page: number;
}) => void;

/** The simulated service without its socket: a call in, an answer out, all by the simulator's clock. */
export class Service {
  readonly options: z.output<typeof serviceOptions>;
  readonly clock: () => number;
  world: World;
  metadata: Metadata;
  readonly faults = new Faults();
  readonly log: Ring<Omit<LoggedRequest, "seq">>;
  prefix: CodePrefix;
  dateSkew: number;
  pageHook: PageHook | null = null;
  #requests = 0;
  #date = { second: -1, text: "" };

  constructor(options: ServiceOptions, clock: () => number) {
    const parsed = serviceOptions.safeParse(options);
    if (!parsed.success) {
      const problems = problemsOf(parsed.error, options).map(
        ({ path, message }) => `${path.join(".")}: ${message}`,
      );
      throw new Error(`simulator options: ${problems.join("; ")}`);
    }
    this.options = parsed.data;
    this.clock = clock;
    this.prefix = this.options.code_prefix;
    this.dateSkew = this.options.date_skew;
    this.log = new Ring(this.options.log_size);
    this.world = new World(clock, this.options.seed, this.options.log_size);
    this.metadata = new Metadata(this.world, this.options.metadata);
    for (const project of this.options.projects) this.world.addProject(project);
  }

  /** Back to the options it was made with: projects, keys, clock, faults, log. */
  reset(): void {
    this.world = new World(this.clock, this.options.seed, this.options.log_size);
    this.metadata = new Metadata(this.world, this.options.metadata);
    for (const project of this.options.projects) this.world.addProject(project);
    this.prefix = this.options.code_prefix;
    this.dateSkew = this.options.date_skew;
    this.faults.clear();
    this.log.clear();
    this.pageHook = null;
  }

  answer(call: IncomingCall, body: string): ServiceAnswer {
    const now = this.world.settle();
    const cut = call.target.indexOf("?");
    const path = cut < 0 ? call.target : call.target.slice(0, cut);
    const query = cut < 0 ? "" : call.target.slice(cut + 1);
    const route = findRoute(call.method, path);
    const headers = flatten(call.headers);
    const key = callerName(headers);
    const entry = this.log.add({
      time: now,
      method: call.method,
      operation: route.operation,
      project: route.project,
      instance: route.instance,
      task: route.task,
      query,
      key,
      status: 0,
      code: "",
      fault: "",
    });
    const requestId = hexId(`request ${this.#requests++}`);
    const fault = this.faults.none
      ? null
      : this.faults.pick(this.#target(route, key), now, this.world.random);
    if (fault) entry.fault = fault.id;
    const result =
      fault?.refusal ?? this.#dispatch(route, { ...call, path, query, headers, body }, requestId, now);
    const answer = "code" in result ? refuse(result, requestId, this.prefix) : result;
    entry.status = answer.status;
    if ("code" in result) entry.code = result.code;
    else if (route.operation === "list_tasks") this.#afterPage(route, fault);
    return { answer, headers: { "X-Request-Id": requestId, Date: this.#dateHeader(now) }, fault };
  }

  #dispatch(
    route: Route,
    call: {
      method: string;
      path: string;
      query: string;
      headers: Record<string, string | undefined>;
      body: string;
    },
    requestId: string,
    now: number,
  ): Answer | Refusal {
    const query = parseQuery(call.query);
    if (!query) return { status: 400, code: "APIGW.0106", message: "Orchestration error: invalid query" };
    switch (route.operation) {
      case "unknown":
        return noSuchApi();
      case "metadata_token":
        return this.metadata.issueToken(call.headers["x-metadata-token-ttl-seconds"], now);
      case "metadata_key":
        return this.metadata.key(call.headers["x-metadata-token"], now);
      case "token":
        return issueToken(
          this.world,
          call.body,
          hexId(`token ${requestId} ${now}`),
          now,
          this.options.token_lifetime,
        );
    }
    let caller: Caller | null = null;
    if (this.options.check_signatures) {
      const checked = this.world.keys.check({ ...call, query }, now);
      if ("code" in checked) return checked;
      caller = checked;
    }
    if (route.operation === "list_projects") return listProjects(this.world, caller, query);
    const project = this.world.projects.get(route.project);
    if (!project || caller?.projects.has(project.id) === false) {
      return { status: 403, code: "APIGW.0302", message: "The project is not available to the caller." };
    }
    const scope = call.headers["x-project-id"];
    if (scope !== undefined && scope !== project.id) {
      return { status: 401, code: "DMS.10240104", message: "The project ID does not match the token." };
    }
    return admit(project, now) ?? answerDms(route, project, query, now);
  }

  #target(route: Route, key: string): Parameters<Faults["pick"]>[0] {
    const project = this.world.projects.get(route.project);
    const instance = project?.instances.get(route.instance);
    return {
      project: [route.project, project?.name ?? ""],
      instance: [route.instance, instance?.name ?? ""],
      operation: [route.operation],
      key: [key],
    };
  }

  #afterPage(route: Route, fault: ActiveFault | null): void {
    const project = this.world.projects.get(route.project);
    const instance = project?.instances.get(route.instance);
    if (!project || !instance) return;
    if (fault?.shift && instance.pages === fault.shift.after_page) {
      this.world.shiftList({ project, instance }, fault.shift);
    }
    this.pageHook?.({ project: route.project, instance: route.instance, page: instance.pages });
  }

  #dateHeader(now: number): string {
    const second = Math.floor((now + this.dateSkew) / 1000);
    if (second !== this.#date.second) this.#date = { second, text: new Date(second * 1000).toUTCString() };
    return this.#date.text;
  }
}

function flatten(headers: IncomingCall["headers"]): Record<string, string | undefined> {
  const flat: Record<string, string | undefined> = {};
  for (const name in headers) {
    const value = headers[name];
    flat[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return flat;
}

function callerName(headers: Readonly<Record<string, string | undefined>>): string {
  if (headers["x-auth-token"] !== undefined) return "token";
  return /Access=([^, ]+)/.exec(headers.authorization ?? "")?.[1] ?? "";
}
