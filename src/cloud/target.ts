import { encode } from "./canonical.ts";

/** Where a call goes, but for its query. Made once per instance, so that signers can keep what they prepare for it. */
export interface RequestTarget {
  /** Scheme, host and port. */
  readonly origin: string;
  /** As in the Host header: with the port where it is not the scheme's own. */
  readonly host: string;
  /** Percent-encoded, without a query. */
  readonly path: string;
  /** Sent, and signed where calls are signed. Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The cloud's pages call it mandatory, for a GET too, and the official signer for Node.js signs it. */
const CONTENT_TYPE = { "content-type": "application/json" };

/**
 * @param endpoint origin, possibly with a path in front
 * @param segments of the path, not encoded
 * @param projectId names the project that the call is about; null for calls that are about none
 */
export function target(
  endpoint: string,
  segments: readonly string[],
  projectId: string | null,
): RequestTarget {
  const { origin, host, pathname } = new URL(endpoint);
  return {
    origin,
    host,
    path: `${pathname.replace(/\/+$/, "")}/${segments.map(encode).join("/")}`,
    headers: { ...CONTENT_TYPE, ...(projectId === null ? {} : { "x-project-id": projectId }) },
  };
}
