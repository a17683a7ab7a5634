/** One answer before it goes on the wire. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

/** A refusal: HTTP status, the cloud's code, and its sentence. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  /** Of the body; default: the gateway's for its codes, else the service's. */
  readonly shape?: ErrorShape | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The error bodies that the cloud's services are known to send. */
export const ERROR_SHAPES = [
  "dms",
  "gateway",
  "iam",
  "dcs1",
  "dcs2",
  "iam5",
  "iam5_nested",
  "plain",
  "nested",
  "details",
  "cce",
  "html",
  "text",
  "empty",
] as const;
type ErrorShape = (typeof ERROR_SHAPES)[number];

export type CodePrefix = "APIGW" | "APIG";

export function json(status: number, body: string, headers?: Readonly<Record<string, string>>): Answer {
  return headers ? { status, headers, body } : { status, body };
}

/**
 * The body of a refusal. Codes that begin with `APIGW.` come from the gateway: they get its shape unless another
 * is asked for, and the prefix that the simulator was told to use.
 */
export function refuse(refusal: Refusal, requestId: string, prefix: CodePrefix): Answer {
  const gateway = refusal.code.startsWith("APIGW.");
  const code = gateway ? `${prefix}.${refusal.code.slice("APIGW.".length)}` : refusal.code;
  const chosen = refusal.shape ?? (gateway ? "gateway" : "dms");
  const content = errorBody(chosen, refusal.status, code, refusal.message, requestId);
  const type = chosen === "html" ? "text/html" : chosen === "text" ? "text/plain" : undefined;
  const headers = { ...refusal.headers, ...(type ? { "Content-Type": type } : {}) };
  return { status: refusal.status, headers, body: content };
}

function errorBody(
  shape: ErrorShape,
  status: number,
  code: string,
  message: string,
  requestId: string,
): string {
  switch (shape) {
    case "dms":
      return JSON.stringify({ error_code: code, error_msg: message });
    case "gateway":
      return JSON.stringify({ error_msg: message, error_code: code, request_id: requestId });
    case "iam":
      return JSON.stringify({ error: { message, code: status, title: title(status) } });
    case "dcs1":
      return JSON.stringify({ error: { code, message } });
    case "dcs2":
      return JSON.stringify({
        error_code: code.replace(/^\D+\./, ""),
        error_msg: message,
        error_ext_msg: null,
      });
    case "iam5":
      return JSON.stringify({ error_code: code, error_msg: message, encoded_authorization_message: "AAAA" });
    case "iam5_nested":
      return JSON.stringify({
        error: { error_code: code, error_msg: message, encoded_authorization_message: "AAAA" },
      });
    case "plain":
      return JSON.stringify({ code, message });
    case "nested":
      return JSON.stringify({ result: { error_code: code, error_msg: message }, request_id: requestId });
    case "details":
      return JSON.stringify({ details: [{ code, message }] });
    case "cce":
      return JSON.stringify({ errorCode: code, errorMessage: message });
    case "html":
      return `<html><head><title>${status} ${title(status)}</title></head><body><h1>${title(status)}</h1></body></html>`;
    case "text":
      return message;
    case "empty":
      return "";
  }
}

function title(status: number): string {
  return TITLES[status] ?? "Error";
}

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  429: "Too Many Requests",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};
