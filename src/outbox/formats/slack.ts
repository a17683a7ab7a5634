import type { WebhookConfig } from "../../config/config.ts";
import type { Format, FormattedEvent, Judgement } from "../format.ts";
import { digestOf, type Note, type Severity } from "./note.ts";
import { refused, slowDown, toMend } from "./reply.ts";
import { fitted } from "./text.ts";

const COLOURS: Readonly<Record<Severity, string>> = {
  critical: "#a30200",
  error: "#d9302c",
  warning: "#e8a33d",
  info: "#7a869a",
  good: "#2e9e5b",
};

/** Of one text object and of one field. */
const SECTION = 3000;
const FIELD = 2000;
/** Slack takes 40,000 characters of text; half of it still is a message that is read. */
const MESSAGE_BYTES = 40_000;

/** Incoming webhook: the title as text, and an attachment with a coloured bar for each event or severity. */
export function slack(webhook: Pick<WebhookConfig, "urls">): Format {
  const url = webhook.urls[0].reveal();
  return {
    maxEvents: 50,
    limits: [{ requests: 1, per: 1_000 }],
    render: (events) => ({
      method: "POST",
      url,
      headers: { "content-type": "application/json; charset=utf-8" },
      body: fitted(
        (cell) => JSON.stringify(message(events, cell)),
        (text) => Buffer.byteLength(text) <= MESSAGE_BYTES,
      ),
    }),
    judge,
  };
}

function message(events: readonly FormattedEvent[], cell: number) {
  const { title, severity, notes, lines, link } = digestOf(events, cell);
  const attachments = [
    ...notes.map((note) => full(note, notes.length > 1)),
    ...lines.map((group) => ({
      color: COLOURS[group.severity],
      blocks: sections(group.texts).map(section),
    })),
  ];
  if (link !== null && notes.length !== 1) {
    attachments.push({ color: COLOURS[severity], blocks: [linkTo(link)] });
  }
  return {
    text: entities(title),
    // Nothing in the text is markup, no name in it is looked up, no page behind a link is shown.
    mrkdwn: false,
    parse: "none",
    link_names: false,
    unfurl_links: false,
    unfurl_media: false,
    attachments,
  };
}

/** Plain text throughout: only the link, which is ours, is markup. */
function full({ severity, title, facts, link }: Note, withTitle: boolean) {
  return {
    color: COLOURS[severity],
    blocks: [
      ...(withTitle ? [section(entities(title))] : []),
      {
        type: "section",
        fields: facts.map(({ name, value }) => plain(within(`${name}: ${value}`, FIELD))),
      },
      ...(link === null ? [] : [linkTo(link)]),
    ],
  };
}

const plain = (text: string) => ({ type: "plain_text", text, emoji: false });
const section = (text: string) => ({ type: "section", text: plain(text) });
const linkTo = (url: string) => ({
  type: "context",
  elements: [{ type: "mrkdwn", text: `<${entities(url)}|Open>`, verbatim: true }],
});

/** Lines in as few sections as their size allows. */
function sections(lines: readonly string[]): readonly string[] {
  const texts: string[] = [];
  for (const line of lines.map((text) => within(text, SECTION))) {
    const last = texts.at(-1);
    if (last === undefined || last.length + 1 + line.length > SECTION) texts.push(line);
    else texts[texts.length - 1] = `${last}\n${line}`;
  }
  return texts;
}

/** Slack's three control characters. Without them there is no mention, no link and no date. */
const entities = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** Escaped, and cut before that so that no entity is. */
function within(text: string, most: number): string {
  for (let keep = most; ; keep = Math.floor(keep * 0.8)) {
    const escaped = entities(text.length > keep ? `${text.slice(0, keep - 1).toWellFormed()}…` : text);
    if (escaped.length <= most) return escaped;
  }
}

const REFUSED =
  /^(invalid_payload|no_text|invalid_blocks\w*|too_many_attachments|invalid_attachments|msg_too_long)$/;

/** Success is the text `ok`. An error is one word; whoever speaks Slack's protocol may also answer nothing, or JSON. */
function judge(status: number, body: string): Judgement | null {
  const word = body.trim();
  if (status > 299 || word === "ok" || !/^[a-z][a-z_]{2,60}$/.test(word)) return null;
  if (REFUSED.test(word)) return refused(word);
  if (word === "rate_limited" || word === "ratelimited") return slowDown(null, word);
  return toMend(word);
}
