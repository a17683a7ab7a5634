import { expect } from "vitest";
import { OPERATIONS, problemsOf } from "./openapi.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: what a body must be is said by the documentation, and by each test
  readonly body: any;
}

export interface ApiRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
}

/** Asks the HTTP API of a daemon; every answer is held against docs/openapi.yaml. */
export async function ask(
  url: string,
  path: string,
  { method = "GET", headers = {}, json }: ApiRequest = {},
): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...(json === undefined ? {} : { "content-type": "application/json" }), ...headers },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });
  expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
  const body: unknown = await response.json();
  const operation = operationOf(method, new URL(path, url).pathname);
  if (operation !== undefined && response.status !== 405) {
    expect(
      problemsOf(operation, response.status, body),
      `${method} ${path}: ${JSON.stringify(body)}`,
    ).toEqual([]);
  }
  return { status: response.status, headers: response.headers, body };
}

function operationOf(method: string, path: string): string | undefined {
  return OPERATIONS.find((operation) => {
    const [of = "", template = ""] = operation.split(" ");
    const parts = template.split("/");
    const given = path.split("/");
    return (
      of === method &&
      parts.length === given.length &&
      parts.every((part, index) => part.startsWith("{") || part === given[index])
    );
  });
}

/** All pages of a list. `key` names the list in the answer. */
export async function allPages(url: string, path: string, key: string): Promise<unknown[]> {
  const found: unknown[] = [];
  for (let after: string | null = ""; after !== null; ) {
    const cursor: string = after === "" ? "" : `&after=${after}`;
    const { status, body } = await ask(url, `${path}${cursor}`);
    expect(status).toBe(200);
    found.push(...body[key]);
    after = body[key].length === 0 ? null : body.next;
  }
  return found;
}
