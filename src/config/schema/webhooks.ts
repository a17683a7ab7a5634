import { z } from "zod";
import { EVENT_TYPES, type EventType } from "../../core/event.ts";
import { FORMATS, GROUP_KEYS } from "../config.ts";
import { Secret } from "../secret.ts";
import { auth, clientTls, match } from "./common.ts";
import {
  content,
  duration,
  number,
  off,
  oneOf,
  scalar,
  secret,
  secretOrFile,
  TEXT_OR_FILE,
  text,
} from "./scalars.ts";
import { list, mapOf, object, oneOrMany } from "./shapes.ts";
import { webhookUrl } from "./urls.ts";

const DEFAULT_EVENTS: readonly EventType[] = [
  "task.failed",
  "task.stuck",
  "task.recovered",
  "task.vanished",
  "instance.unreachable",
  "instance.reachable",
  "project.unreachable",
  "project.reachable",
];

/** Headers that the delivery itself sets. */
const OWN_HEADERS = /^(host|content-length|content-type|transfer-encoding|connection|webhook-.*)$/i;

/** A secret, in characters that a header can hold: any other would fail each delivery. */
const headerValue = () =>
  scalar("a header's value, not empty, on one line and in Latin letters", TEXT_OR_FILE, (value) =>
    /^[\x20-\x7e\x80-\xff]+$/.test(value) ? new Secret(value) : undefined,
  );

const headers = mapOf(headerValue(), "a map from header name to value", (name) =>
  /^[\w!#$%&'*+.^`|~-]{1,100}$/.test(name) && !OWN_HEADERS.test(name)
    ? undefined
    : "a header's name, but for host, content-*, connection, transfer-encoding and webhook-*, which are set already",
);

export const retry = object({
  for: duration({ min: 0 }).prefault("72h"),
  refused_for: duration({ min: 0 }).prefault("1h"),
  min: duration().prefault("1s"),
  max: duration().prefault("1h"),
});

const group = z.union([
  off(),
  object({
    by: list(oneOf(GROUP_KEYS), "keys", 0).prefault(["instance"]),
    wait: duration().prefault("10s"),
    interval: duration().prefault("5m"),
  }),
]);

/** With parameters; it becomes a header. */
const mediaType = () =>
  scalar("a content type, such as application/json", { type: "string" }, (value) =>
    /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(; ?[\w-]+=[\w.:-]+)*$/.test(value) && value.length <= 128
      ? value
      : undefined,
  );

export const webhook = object({
  name: text("a name"),
  url: webhookUrl().optional(),
  urls: list(webhookUrl(TEXT_OR_FILE), "URLs").optional(),
  secret: oneOrMany(secretOrFile("a signing secret"), "signing secrets").optional(),
  format: oneOf(FORMATS).prefault("cloudevents"),
  events: list(oneOf(EVENT_TYPES), "event types").prefault([...DEFAULT_EVENTS]),
  match: match().optional(),
  headers: headers.prefault({}),
  auth: auth().optional(),
  tls: clientTls().optional(),
  timeout: duration({ max: 600_000 }).prefault("15s"),
  retry: retry.prefault({}),
  concurrency: number({ min: 1, max: 1000, integer: true }).prefault("4"),
  group: group.prefault("off"),
  dead_letters: duration({ min: 1000 }).prefault("30d"),
  routing_key: secret("a routing key").optional(),
  template: content("a template").optional(),
  content_type: mediaType().optional(),
});
