import { ICON, SCRIPT, STYLE } from "./assets.ts";
import { type Html, html } from "./html.ts";
import type { Root } from "./parts.ts";

/** Seconds, for a browser without scripts. */
const RELOAD = 30;

export interface Document {
  readonly title: string;
  readonly root: Root;
  /** The shortest form of how things are, beside the name. */
  readonly header: Html;
  readonly main: Html;
  readonly footer: Html;
}

export const layout = ({ title, root, header, main, footer }: Document): string =>
  html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<noscript><meta http-equiv="refresh" content="${RELOAD}"></noscript>
<link rel="icon" href="${root}${ICON.path}">
<link rel="stylesheet" href="${root}${STYLE.path}">
<script src="${root}${SCRIPT.path}" data-root="${root}" defer></script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header>
<h1 class="name"><a href="${root === "" ? "./" : root}">dms-taskwatch</a></h1>
${header}
<p id="live" role="status"></p>
</header>
<main id="main" tabindex="-1">
${main}</main>
<footer data-part id="footer">
${footer}
</footer>
</body>
</html>
`.text;
