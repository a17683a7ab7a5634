import { z } from "zod";
import { ENGINES } from "../config.ts";
import { clientTls } from "./common.ts";
import { instancePoll, instanceStuck, instanceWindow } from "./rules.ts";
import { duration, flag, glob, identifier, number, oneOf, scalar, secret, text } from "./scalars.ts";
import { list, object } from "./shapes.ts";
import { endpoint, endpointOrEmpty, proxyUrl } from "./urls.ts";

const region = () =>
  scalar("a region, such as eu-west-101", { type: "string" }, (value) =>
    /^[a-z0-9][a-z0-9-]{0,62}$/.test(value) ? value : undefined,
  );

const metadata = z.union([
  scalar<{ endpoint?: string | undefined }>("true", { const: true }, (value) =>
    value === "true" ? {} : undefined,
  ),
  object({ endpoint: endpoint().optional() }),
]);

const credentials = object({
  access_key: text("an access key"),
  secret_key: secret("a secret key"),
  security_token: secret("a security token"),
  profile: text("a section of the credentials file"),
  token: secret("a token"),
  user: text("a user name"),
  password: secret("a password"),
  domain: text("an account's name"),
  metadata,
}).partial();

const discover = object({
  engines: list(oneOf(ENGINES), "engines").prefault([...ENGINES]),
  every: duration({ min: 1000 }).prefault("5m"),
  include: list(glob(), "globs").prefault(["*"]),
  exclude: list(glob(), "globs", 0).prefault([]),
  enterprise_project_id: identifier("an enterprise project's id").optional(),
});

const instance = object({
  id: identifier("an instance's id"),
  name: text("a name").optional(),
  engine: oneOf(ENGINES).prefault("kafka"),
  poll: instancePoll.optional(),
  window: instanceWindow.optional(),
  stuck: instanceStuck.optional(),
});

export const project = object({
  name: text("a name"),
  region: region(),
  project_id: identifier("a project's id").optional(),
  endpoint: endpointOrEmpty().prefault(""),
  iam_endpoint: endpointOrEmpty().prefault(""),
  credentials,
  requests_per_second: number({ min: 0, above: true, max: 1000 }).prefault("5"),
  tls: clientTls().optional(),
  proxy: proxyUrl().optional(),
  discover: discover.optional(),
  scheduled_tasks: flag().prefault("false"),
  instances: list(instance, "instances", 0).prefault([]),
});
