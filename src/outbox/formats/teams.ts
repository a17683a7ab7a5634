import type { WebhookConfig } from "../../config/config.ts";
import { classifyAnswer } from "../attempt-result.ts";
import type { Format, FormattedEvent, Judgement } from "../format.ts";
import { digestOf, type Note, type Severity } from "./note.ts";
import { bytes, fitted } from "./text.ts";

const COLOURS: Readonly<Record<Severity, string>> = {
  critical: "Attention",
  error: "Attention",
  warning: "Warning",
  info: "Accent",
  good: "Good",
};
const STYLES: Readonly<Record<Severity, string>> = {
  critical: "attention",
  error: "attention",
  warning: "warning",
  info: "emphasis",
  good: "good",
};

/** Teams takes 28 kB, wrapping of its own included. */
const MESSAGE_BYTES = 26_000;
const SLOW_DOWN_MS = 10_000;

/** A Workflows webhook ("when a Teams webhook request is received"): a message with one adaptive card. */
export function teams(webhook: Pick<WebhookConfig, "urls">): Format {
  const url = webhook.urls[0].reveal();
  return {
    maxEvents: 40,
    limits: [{ requests: 4, per: 1_000 }],
    render: (events) => ({
      method: "POST",
      url,
      headers: { "content-type": "application/json; charset=utf-8" },
      body: fitted(
        (cell) => JSON.stringify(message(events, cell)),
        (text) => bytes(text) <= MESSAGE_BYTES,
      ),
    }),
    judge,
  };
}

function message(events: readonly FormattedEvent[], cell: number) {
  const { title, severity, notes, lines, link } = digestOf(events, cell);
  const body = [
    {
      type: "Container",
      style: STYLES[severity],
      bleed: true,
      items: [rich([run(title, { weight: "Bolder", size: "Medium" })])],
    },
    ...notes.flatMap((note) => full(note, notes.length > 1)),
    ...lines.flatMap(({ severity: of, texts }) =>
      texts.map((text) => rich([run(text, { color: COLOURS[of] })])),
    ),
  ];
  const card = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    msteams: { width: "Full" },
    // Where a client shows text alone.
    fallbackText: title.replace(/[[\]()*_`~<>#\\]/g, " "),
    body,
    ...(link === null ? {} : { actions: [{ type: "Action.OpenUrl", title: "Open", url: link }] }),
  };
  return {
    type: "message",
    attachments: [
      { contentType: "application/vnd.microsoft.card.adaptive", contentUrl: null, content: card },
    ],
  };
}

function full({ severity, title, facts, link }: Note, withTitle: boolean) {
  const head = withTitle
    ? [
        rich([
          run(title, { weight: "Bolder", color: COLOURS[severity] }),
          ...(link === null
            ? []
            : [run("  "), { ...run("Open"), selectAction: { type: "Action.OpenUrl", url: link } }]),
        ]),
      ]
    : [];
  return [
    ...head,
    ...facts.map(({ name, value }) => rich([run(`${name}: `, { isSubtle: true }), run(value)])),
  ];
}

interface Look {
  readonly weight?: "Bolder";
  readonly size?: "Medium";
  readonly color?: string;
  readonly isSubtle?: boolean;
}

/** Text runs show what they are given: unlike text blocks and facts they know no Markdown and no mention. */
const run = (text: string, look: Look = {}) => ({ type: "TextRun", text, ...look });
const rich = (inlines: readonly object[]) => ({ type: "RichTextBlock", spacing: "Small", inlines });

/** Under 200 the body may tell what Teams itself answered. */
function judge(status: number, body: string): Judgement | null {
  if (status > 299) return null;
  const inner = /HTTP error (\d{3})\b/.exec(body)?.[1];
  if (inner === undefined) return null;
  const detail = `Teams says ${inner}`;
  const told = Number(inner);
  const retryAfter = told === 429 ? SLOW_DOWN_MS : null;
  const verdict = classifyAnswer({ kind: "answer", status: told, retryAfter, date: null, body: "" });
  return verdict.kind === "delivered" ? null : { verdict, detail };
}
