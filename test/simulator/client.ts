import { DEFAULT_PROJECT_ID, DEMO_KEY } from "../../src/simulator/server.ts";
import { canonicalRequest, parseQuery, signatureOf } from "../../src/simulator/signature.ts";

interface Pair {
  readonly access_key: string;
  readonly secret_key: string;
  readonly security_token?: string;
}

export interface SignedCall {
  readonly key?: Pair;
  /** Epoch ms that the signature is dated. */
  readonly at?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent and signed. */
  readonly signed?: Readonly<Record<string, string>>;
}

/** Headers that sign a GET of this URL. */
export function signedHeaders(url: string, call: SignedCall = {}): Record<string, string> {
  const { pathname, search, host } = new URL(url);
  const key: Pair = call.key ?? DEMO_KEY;
  const sdkDate = new Date(call.at ?? Date.now()).toISOString().replace(/[-:]|\.\d+/g, "");
  const token = key.security_token === undefined ? {} : { "x-security-token": key.security_token };
  const headers: Record<string, string> = { host, "x-sdk-date": sdkDate, ...token, ...call.signed };
  const names = Object.keys(headers).sort();
  const request = {
    method: "GET",
    path: pathname,
    query: parseQuery(search.slice(1)) ?? [],
    headers,
    body: "",
  };
  const signature = signatureOf(canonicalRequest(request, names), sdkDate, key.secret_key);
  const authorization = `SDK-HMAC-SHA256 Access=${key.access_key}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
  return { "x-sdk-date": sdkDate, ...token, ...call.signed, authorization, ...call.headers };
}

export function get(url: string, call: SignedCall = {}): Promise<Response> {
  return fetch(url, { headers: signedHeaders(url, call), redirect: "manual" });
}

export interface TaskPage {
  readonly task_count?: unknown;
  readonly tasks: { readonly id: string; readonly status: string; readonly created_at: string }[];
}

/** One page of an instance's tasks in the default project. */
export async function page(
  base: string,
  instance: string,
  query = "",
  call: SignedCall = {},
): Promise<TaskPage> {
  const response = await get(`${tasksUrl(base, instance)}${query}`, call);
  return (await response.json()) as TaskPage;
}

export function tasksUrl(base: string, instance: string, project = DEFAULT_PROJECT_ID): string {
  return `${base}/v2/${project}/instances/${instance}/tasks`;
}
