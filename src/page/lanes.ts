import { humanDuration } from "../core/reason.ts";
import type { Bar, Lane, Lanes } from "../views/lane.ts";
import { plural, timeText } from "../views/text.ts";
import { type Html, html } from "./html.ts";
import { nameOf, section, shownName } from "./parts.ts";

export const DAY_MS = 24 * 3_600_000;
const TICK_MS = 3 * 3_600_000;
/** Thinner than this nobody sees, in percent of the day. */
const LEAST_WIDTH = 0.5;
/** Bars at the same time lie below each other, up to so many. */
const MOST_TRACKS = 6;
const TRACK = 12;
const BAR = 9;

const KINDS: Readonly<Record<Bar["kind"], string>> = {
  failed: "failed",
  stuck: "stuck",
  open: "runs",
  succeeded: "succeeded",
  ended: "ended",
};

/** The picture of the day: a lane per instance, a bar per task. */
export function lanesSection({ lanes, more, idle }: Lanes, now: number): Html {
  const hours = ticks(now);
  const body =
    lanes.length === 0
      ? html`<p class="none">No task ran on ${plural(idle, "instance")}.</p>`
      : html`<div class="lanes">
<div class="lane axis" aria-hidden="true"><span>UTC</span><svg height="16">${hours.map(({ hour, x }, index) => html`<text class="${index % 2 === 0 ? "fine" : "coarse"}" x="${x}" y="12">${hour}</text>`)}</svg></div>
<ul>
${lanes.map((lane) => laneItem(lane, now))}</ul>
</div>
<p class="legend" aria-hidden="true">${Object.entries(KINDS).map(
          ([kind, text]) =>
            html`<span><svg width="18" height="10"><rect class="bar ${kind}" x="1" y="1" width="16" height="8" rx="2"/></svg> ${text}</span> `,
        )}</p>
<p>${left(more, idle)}</p>`;
  return section("day", "The last 24 hours", body);
}

function left(more: number, idle: number): string {
  const parts = [
    ...(more > 0
      ? [`${plural(more, "more instance")} had tasks and ${more === 1 ? "is" : "are"} not shown`]
      : []),
    ...(idle > 0 ? [`${plural(idle, "instance")} had none`] : []),
  ];
  return parts.length === 0 ? "" : `${parts.join(", ")}.`;
}

function laneItem({ instance, project, bars }: Lane, now: number): Html {
  const tracks: number[] = [];
  const placed = bars.map((bar) => {
    const { x, width } = extent(bar, now);
    const free = tracks.findIndex((end) => end <= x);
    const track = free >= 0 ? free : Math.min(tracks.length, MOST_TRACKS - 1);
    tracks[track] = Math.max(tracks[track] ?? 0, x + width);
    return barLink(bar, x, width, track, now);
  });
  const height = Math.max(1, tracks.length) * TRACK + 2;
  return html`<li class="lane"><span>${nameOf(instance.name)} <small>${nameOf(project)}</small></span><svg height="${height}" role="group" aria-label="${shownName(instance.name)}: ${bars.length} tasks">${ticks(now).map(({ x }) => html`<line x1="${x}" x2="${x}" y1="0" y2="100%"/>`)}${placed}</svg></li>
`;
}

function barLink(bar: Bar, x: number, width: number, track: number, now: number): Html {
  const { id, name, kind, status, from, to } = bar;
  const took = humanDuration(((to ?? now) - from) / 1000);
  const text = `${shownName(name)}: ${KINDS[kind]} (${status}), ${timeText(from)}, ${took}`;
  const y = track * TRACK + 2;
  return html`<a href="tasks/${encodeURIComponent(id.toWellFormed())}" aria-label="${text}"><title>${text}</title><rect class="bar ${kind}" x="${percent(x)}" y="${y}" width="${percent(width)}" height="${BAR}" rx="2"/></a>`;
}

/** In percent of the day that ends now; within it, however old the task is. */
function extent({ from, to }: Bar, now: number): { readonly x: number; readonly width: number } {
  const place = (at: number) => Math.min(100, Math.max(0, 100 - ((now - at) / DAY_MS) * 100));
  const width = Math.max(LEAST_WIDTH, place(to ?? now) - place(from));
  return { x: Math.min(place(from), 100 - width), width };
}

/** Round hours, the oldest first, with their places. */
function ticks(now: number): readonly { readonly hour: string; readonly x: string }[] {
  const last = Math.floor(now / TICK_MS) * TICK_MS;
  return Array.from({ length: DAY_MS / TICK_MS }, (_, index) => {
    const at = last - index * TICK_MS;
    return { hour: timeText(at).slice(11, 16), x: percent(100 - ((now - at) / DAY_MS) * 100) };
  }).reverse();
}

const percent = (value: number): string => `${value.toFixed(2)}%`;
