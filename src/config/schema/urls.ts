import { percentDecoded } from "../../util/percent.ts";
import { parseRedisUrl } from "../../util/redis-url.ts";
import { Secret } from "../secret.ts";
import { hasControl, NotAllowed, scalar } from "./scalars.ts";

function httpUrl(value: string): URL | undefined {
  if (!/^https?:\/\/[^/]/i.test(value) || hasControl(value) || /\s/.test(value)) return undefined;
  return URL.parse(value) ?? undefined;
}

const JSON_URL = { type: "string" } as const;

/** Origin and perhaps a path, without a slash at the end. */
export const endpoint = () =>
  scalar("an http or https URL without user, query and fragment", JSON_URL, (value) => {
    const url = httpUrl(value);
    if (!url || url.username || url.password || /[?#]/.test(value)) return undefined;
    return url.href.replace(/\/+$/, "");
  });

/** As an endpoint, or empty: that is how environments pass what nobody gave. */
export const endpointOrEmpty = () => {
  const filled = endpoint();
  return scalar("an http or https URL without user, query and fragment, or empty", JSON_URL, (value) => {
    if (value === "") return "";
    const parsed = filled.safeParse(value);
    return parsed.success ? parsed.data : undefined;
  });
};

/** Where events are posted to; secret because such URLs carry tokens in path and query. */
export const webhookUrl = (json: Readonly<Record<string, unknown>> = JSON_URL) =>
  scalar("an http or https URL", json, (value) => {
    const url = httpUrl(value);
    if (!url) return undefined;
    if (url.username || url.password)
      return new NotAllowed("a URL without user and password, which belong to auth");
    return new Secret(url.href);
  });

export const proxyUrl = () =>
  scalar("an http or https URL of a proxy", JSON_URL, (value) => {
    const url = httpUrl(value);
    if (!url) return undefined;
    if ([url.username, url.password].some((part) => percentDecoded(part) === undefined))
      return new NotAllowed("a URL whose user and password are percent-encoded (% is %25)");
    return new Secret(value);
  });

const STORE_FORMS =
  "sqlite:PATH, sqlite::memory:, or a redis://, rediss://, redis+sentinel:// or redis+cluster:// URL";

export interface StoreUrl {
  readonly url: Secret;
  readonly kind: "sqlite" | "redis";
  readonly path: string | null;
}

export const storeUrl = () =>
  scalar<StoreUrl>(STORE_FORMS, JSON_URL, (value) => {
    const file = /^sqlite:(?:\/\/(?=\/))?(.+)$/s.exec(value)?.[1];
    if (file !== undefined && !file.startsWith("//") && !hasControl(file)) {
      return { url: new Secret(value), kind: "sqlite", path: file };
    }
    if (!/^(rediss?|redis\+(sentinel|cluster)):\/\/[^/]/.test(value) || hasControl(value)) return undefined;
    const redis = parseRedisUrl(value);
    if (typeof redis === "string") return new NotAllowed(redis);
    return { url: new Secret(value), kind: "redis", path: null };
  });
