import type { Refusal } from "./answers.ts";
import type { Project } from "./project.ts";

/** The gateway's refusal for a call too many within a second; Retry-After only where it is told. */
export function throttled(limit: number, retryAfter?: number | string): Refusal {
  const refusal: Refusal = {
    status: 429,
    code: "APIGW.0308",
    message: `The throttling threshold has been reached: policy user over ratelimit,limit:${limit},time:1 second`,
  };
  return retryAfter === undefined ? refusal : { ...refusal, headers: { "Retry-After": String(retryAfter) } };
}

/** Counts a call against its project's limit over the last second; undefined: it may pass. */
export function admit(project: Project, now: number): Refusal | undefined {
  const limit = project.requestsPerSecond;
  if (limit === null) return undefined;
  const { recent } = project;
  while (recent.length > 0 && Math.abs(now - (recent[0] ?? 0)) >= 1000) recent.shift();
  if (recent.length >= limit) return throttled(limit);
  recent.push(now);
  return undefined;
}
