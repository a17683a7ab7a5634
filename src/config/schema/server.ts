import { LOG_LEVELS } from "../config.ts";
import { auth, certificate, privateKey } from "./common.ts";
import { duration, flag, number, oneOf, scalar, secret, text } from "./scalars.ts";
import { object } from "./shapes.ts";
import { endpointOrEmpty, storeUrl } from "./urls.ts";

export const store = object({
  url: storeUrl().prefault("sqlite:./data/taskwatch.db"),
  key_prefix: scalar("a text of 1 to 64 characters without braces and spaces", { type: "string" }, (value) =>
    /^[^\s{}]{1,64}$/.test(value) ? value : undefined,
  ).prefault("taskwatch"),
  shards: number({ min: 1, max: 1024, integer: true }).prefault("16"),
  lease: duration({ min: 1000, max: 600_000 }).prefault("10s"),
  keep_events: duration({ min: 1000 }).prefault("7d"),
  username: text("a user name").optional(),
  password: secret("a password").optional(),
  tls: object({
    ca: certificate().optional(),
    cert: certificate().optional(),
    key: privateKey().optional(),
  }).optional(),
});

/** `host:port`, `[v6]:port` or `:port`, which is every address. */
const listen = () =>
  scalar("HOST:PORT, such as 0.0.0.0:10464 or [::]:10464", { type: "string" }, (value) => {
    const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([\w.-]*)):(\d{1,5})$/.exec(value) ?? [];
    const port = Number(digits);
    if (digits === undefined || port > 65_535) return undefined;
    return { host: bracketed ?? (plain || "0.0.0.0"), port };
  });

export const server = object({
  listen: listen().prefault("0.0.0.0:10464"),
  external_url: endpointOrEmpty().prefault(""),
  tls: object({ cert: certificate(), key: privateKey() }).optional(),
  auth: auth().optional(),
  metrics_auth: flag().prefault("true"),
  reload: flag().prefault("false"),
  stop_timeout: duration({ min: 0, max: 600_000 }).prefault("8s"),
});

export const privacy = object({ task_params: flag().prefault("false"), user_names: flag().prefault("true") });

export const log = object({ level: oneOf(LOG_LEVELS).prefault("info") });
