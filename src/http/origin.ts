import type { IncomingHttpHeaders } from "node:http";

/** Methods that change nothing (RFC 9110, 9.2.1): a browser lets no other page read the answer. */
const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * Tells whether a page of another origin made a browser send this request, to which the browser adds the stored
 * credentials. `Sec-Fetch-Site` alone does not tell: over plain HTTP browsers leave it out. `Origin` is compared with
 * `Host` without its scheme, because a proxy may end TLS; a proxy that replaces `Host` needs `externalUrl`, empty
 * where it is not configured. Clients that are no browsers send none of these headers.
 */
export function fromOtherOrigin(method: string, headers: IncomingHttpHeaders, externalUrl: string): boolean {
  if (SAFE.has(method)) return false;
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") return true;
  const page = headers.origin ?? headers.referer;
  return page !== undefined && !isOwn(page, headers.host ?? "", externalUrl);
}

function isOwn(page: string, host: string, externalUrl: string): boolean {
  const { protocol, origin, host: pageHost } = URL.parse(page) ?? {};
  if (protocol !== "http:" && protocol !== "https:") return false;
  // Parsed with the page's scheme, so that its default port may be named or left out.
  return pageHost === URL.parse(`${protocol}//${host}`)?.host || origin === URL.parse(externalUrl)?.origin;
}
