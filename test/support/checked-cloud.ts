import { createHash, createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { json, type Served, serve } from "../cloud/serve.ts";
import type { RawConfig } from "./watch-config.ts";

/** Body of an answer; undefined: there is no such instance. */
export type Answers = (instanceId: string, query: URLSearchParams, taskId: string | null) => unknown;

/**
 * A cloud that gives fixed answers to calls with a good signature. The signature is computed here from the published
 * algorithm alone, and shares no code with the client's or the simulator's.
 */
export function startCheckedCloud(
  key: { readonly access_key: string; readonly secret_key: string },
  answers: Answers,
): Promise<Served> {
  return serve((request, response) => {
    const url = new URL(request.url ?? "/", "http://cloud");
    const [, instance = "", task = null] =
      /\/instances\/([^/]+)\/tasks(?:\/([^/]+))?$/.exec(url.pathname) ?? [];
    if (!isSigned(request, key)) {
      json(
        response,
        { error_code: "APIGW.0301", error_msg: "Incorrect IAM authentication information" },
        401,
      );
      return;
    }
    const body = answers(instance, url.searchParams, task);
    if (body !== undefined) json(response, body);
    else json(response, { error_code: task ? "DMS.00404001" : "DMS.00404022", error_msg: "not found" }, 404);
  });
}

/** The project that this cloud shows, with these credentials, as it stands in a configuration. */
export function checkedProject(
  cloud: Served,
  credentials: RawConfig,
  instances: readonly RawConfig[],
): RawConfig {
  return {
    name: "prod",
    region: "eu-west-101",
    project_id: "0605768a3300d5762fd0c002e2bbd3f9",
    endpoint: cloud.url,
    credentials,
    requests_per_second: 200,
    instances,
  };
}

function isSigned(
  { method, url = "", headers }: IncomingMessage,
  key: { readonly access_key: string; readonly secret_key: string },
): boolean {
  const [path = "", query = ""] = url.split("?");
  const [, access, names = "", signature] =
    /^SDK-HMAC-SHA256 Access=(\S+), SignedHeaders=(\S+), Signature=(\w+)$/.exec(
      headers.authorization ?? "",
    ) ?? [];
  const date = String(headers["x-sdk-date"]);
  const signed = names.split(";");
  if (access !== key.access_key || !signed.includes("x-sdk-date") || !signed.includes("host")) return false;
  const canonical = [
    method,
    `${path}/`,
    query.split("&").filter(Boolean).sort().join("&"),
    ...[...signed].sort().map((name) => `${name}:${String(headers[name]).trim()}`),
    "",
    names,
    createHash("sha256").update("").digest("hex"),
  ].join("\n");
  const text = `SDK-HMAC-SHA256\n${date}\n${createHash("sha256").update(canonical).digest("hex")}`;
  return signature === createHmac("sha256", key.secret_key).update(text).digest("hex");
}
