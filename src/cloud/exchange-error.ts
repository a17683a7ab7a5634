import { errors } from "undici";
import { CloudError } from "../errors.ts";

/** What undici and node call the failures of one exchange, in words for an operator. */
const WORDS: Readonly<Record<string, string>> = {
  ENOTFOUND: "the name does not resolve",
  EAI_AGAIN: "the name server does not answer",
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EPIPE: "connection reset",
  ETIMEDOUT: "connecting timed out",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to the network",
  UND_ERR_CONNECT_TIMEOUT: "connecting timed out",
  UND_ERR_SOCKET: "connection closed before the answer was whole",
  UND_ERR_PRX_TLS: "TLS with the proxy failed",
  UND_ERR_PRX_CONN: "the proxy closed the connection",
  UND_ERR_ABORTED: "the proxy refused the connection",
  UND_ERR_INVALID_ARG: "the proxy refused the connection",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the certificate is self-signed and its CA is not configured",
  SELF_SIGNED_CERT_IN_CHAIN: "the certificate's CA is not configured",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the certificate's CA is not configured",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the certificate's CA is not configured",
  CERT_HAS_EXPIRED: "the certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "the certificate is for another name",
};

/** The other side spoke, but not HTTP as it should be. */
const GARBLED = /^(HPE_|UND_ERR_(HEADERS_OVERFLOW|RES_CONTENT_LENGTH_MISMATCH|RES_EXCEEDED_MAX_SIZE))/;

/** A failure below HTTP as a `CloudError`. Texts of the libraries are not passed on: they can hold proxy passwords. */
export function exchangeError(error: unknown, origin: string, status: number | null): CloudError {
  const code = codeOf(error);
  if (error instanceof errors.HTTPParserError || GARBLED.test(code)) {
    return new CloudError("bad_response", `the answer of ${origin} is not valid HTTP`, { status });
  }
  if (code === "UND_ERR_CONNECT_TIMEOUT" || code === "ETIMEDOUT") {
    return new CloudError("timeout", `${origin}: ${WORDS[code]}`, { status });
  }
  const words = WORDS[code] ?? (code === "" ? "connection failed" : `connection failed (${code})`);
  return new CloudError("endpoint_unreachable", `${origin} cannot be reached: ${words}`, { status });
}

/** The first known code along the chain of causes, else the first at all. */
function codeOf(error: unknown): string {
  let first = "";
  let current = error;
  for (let depth = 0; depth < 5 && current instanceof Error; depth++) {
    const code = "code" in current && typeof current.code === "string" ? current.code : "";
    if (Object.hasOwn(WORDS, code) || GARBLED.test(code)) return code;
    if (first === "") first = code;
    current = current instanceof AggregateError ? current.errors[0] : current.cause;
  }
  return first;
}
