import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

export interface Asset {
  readonly type: string;
  readonly body: Buffer;
  /** Below the root of the site. It changes with the content, so that a browser may keep what it has. */
  readonly path: string;
}

function asset(name: string, type: string): Asset {
  const body = readFileSync(new URL(name, import.meta.url));
  const print = createHash("sha256").update(body).digest("hex").slice(0, 12);
  return { type, body, path: `page/${print}/${name}` };
}

export const STYLE = asset("style.css", "text/css; charset=utf-8");
export const SCRIPT = asset("script.js", "text/javascript; charset=utf-8");
export const ICON = asset("icon.svg", "image/svg+xml");
export const ASSETS: readonly Asset[] = [STYLE, SCRIPT, ICON];

/** Nothing but these and our own API, no form, no frame. */
export const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
