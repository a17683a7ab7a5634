import { humanDuration, SOURCE_TEXT } from "../core/reason.ts";
import type { Threshold } from "../core/state.ts";
import { printable } from "../views/printable.ts";
import { timeText } from "../views/text.ts";
import { type Html, html } from "./html.ts";

/** From a page to the root of the site: what is in front may be cut by a proxy, so no path is absolute. */
export type Root = "" | "../";

const LONGEST_SHOWN = 120;

/** A name from outside: one line, of bearable length, and what it holds is seen, not obeyed. */
export function shownName(text: string): string {
  const whole = text.toWellFormed();
  const cut = whole.length > LONGEST_SHOWN ? `${whole.slice(0, LONGEST_SHOWN).toWellFormed()}…` : whole;
  return cut === "" ? "(no name)" : printable(cut);
}

export const nameOf = (text: string): Html => html`<bdi>${shownName(text)}</bdi>`;

export const taskLink = (root: Root, id: string, text: Html): Html =>
  html`<a href="${root}tasks/${encodeURIComponent(id.toWellFormed())}">${text}</a>`;

/** The anchor that links in messages name. */
export const taskAnchor = (id: string): string => `/tasks/${encodeURIComponent(id.toWellFormed())}`;

/** `3m ago`, with the moment itself. */
export function ago(at: string | null, now: number): Html {
  if (at === null) return html`never`;
  const ms = Date.parse(at);
  const distance = humanDuration(Math.abs(now - ms) / 1000);
  return html`${moment(at, now - ms >= 0 ? `${distance} ago` : `in ${distance}`)}`;
}

export const moment = (at: string, text: string): Html =>
  html`<time datetime="${at}" title="${timeText(Date.parse(at))}">${text}</time>`;

/** `10:02:11`, with the date where it is not today's; UTC. */
export function clockTime(at: string | null, now: number): Html {
  if (at === null) return html`–`;
  const text = timeText(Date.parse(at));
  const today = timeText(now).slice(0, 10) === text.slice(0, 10);
  return moment(at, today ? text.slice(11, 19) : `${text.slice(0, 10)} ${text.slice(11, 16)}`);
}

/** Since when, in both ways. */
export const since = (at: string | null, now: number): Html =>
  html`${ago(at, now)}${at !== null && html` <small>${clockTime(at, now)}</small>`}`;

export const limitText = ({ seconds, source, samples }: Threshold): string =>
  `${humanDuration(seconds)} (${SOURCE_TEXT[source]}${samples > 0 ? `, ${samples} of them` : ""})`;

/** Age against its limit: a bar, and the same in words. */
export function againstLimit(age: number | null, limit: Threshold | null): Html {
  const words = age === null ? "unknown" : humanDuration(age);
  if (limit === null) return html`${words}`;
  const meter =
    age !== null &&
    html`<meter min="0" max="${limit.seconds}" low="${limit.seconds * 0.8}" high="${limit.seconds * 0.999}" optimum="0" value="${Math.min(age, limit.seconds)}"></meter> `;
  return html`${meter}<span class="nowrap">${words}</span> <small>of ${limitText(limit)}</small>`;
}

/** A table that a narrow screen shows as cards. `cells` are in the order of the titles. */
export function table(
  caption: string,
  titles: readonly string[],
  rows: readonly { readonly id?: string; readonly kind?: string; readonly cells: readonly Html[] }[],
): Html {
  return html`<table>
<caption class="hidden">${caption}</caption>
<thead><tr>${titles.map((title) => html`<th scope="col">${title}</th>`)}</tr></thead>
<tbody>
${rows.map(
  ({ id, kind, cells }) =>
    html`<tr${id !== undefined && html` id="${id}"`}${kind !== undefined && html` class="${kind}"`}>${cells.map(
      (cell, index) => html`<td data-title="${titles[index]}"><span>${cell}</span></td>`,
    )}</tr>\n`,
)}</tbody>
</table>`;
}

/** A section that the script puts anew when it has changed. */
export const section = (id: string, title: string, body: Html, note: Html | null = null): Html =>
  html`<section id="${id}" data-part aria-labelledby="${id}-title">
<h2 id="${id}-title">${title}</h2>${note}
${body}
</section>
`;
