import { createHmac } from "node:crypto";
import type { WebhookConfig } from "../../config/config.ts";
import type { Format, FormattedEvent, Judgement } from "../format.ts";
import { digestOf, type Note, type Severity } from "./note.ts";
import { parsed } from "./reading.ts";
import { judgeByCode, refused } from "./reply.ts";
import { bytes, fitted } from "./text.ts";

const COLOURS: Readonly<Record<Severity, string>> = {
  critical: "carmine",
  error: "red",
  warning: "orange",
  info: "grey",
  good: "green",
};

/** Feishu takes 20 kB. */
const MESSAGE_BYTES = 19_000;

/** A custom bot of Feishu or Lark: an interactive card; the signature is part of the body. */
export function feishu(webhook: Pick<WebhookConfig, "urls" | "secrets">): Format {
  const url = webhook.urls[0].reveal();
  const secret = webhook.secrets[0]?.reveal() ?? null;
  return {
    maxEvents: 40,
    limits: [
      { requests: 5, per: 1_000 },
      { requests: 100, per: 60_000 },
    ],
    render: (events, now) => ({
      method: "POST",
      url,
      headers: { "content-type": "application/json; charset=utf-8" },
      body: fitted(
        (cell) =>
          JSON.stringify({ ...signature(secret, now), msg_type: "interactive", card: card(events, cell) }),
        (text) => bytes(text) <= MESSAGE_BYTES,
      ),
    }),
    judge,
  };
}

/** The key is the time and the secret; what is signed is nothing. */
function signature(secret: string | null, now: number) {
  if (secret === null) return {};
  const timestamp = String(Math.floor(now / 1000));
  return { timestamp, sign: createHmac("sha256", `${timestamp}\n${secret}`).digest("base64") };
}

function card(events: readonly FormattedEvent[], cell: number) {
  const { title, severity, notes, lines, link } = digestOf(events, cell);
  const elements = [
    ...notes.flatMap((note, index) => [
      ...(index > 0 ? [{ tag: "hr" }] : []),
      ...full(note, notes.length > 1),
    ]),
    ...lines.map(({ texts }) => div(texts.join("\n"))),
    ...(link === null ? [] : [button(link)]),
  ];
  return {
    config: { wide_screen_mode: true },
    header: { template: COLOURS[severity], title: plain(title) },
    elements,
  };
}

const full = ({ title, facts }: Note, withTitle: boolean) => [
  ...(withTitle ? [div(title)] : []),
  div(facts.map(({ name, value }) => `${name}: ${value}`).join("\n")),
];

/** Plain text knows no Markdown and no `<at>`. */
const plain = (content: string) => ({ tag: "plain_text", content });
const div = (content: string) => ({ tag: "div", text: plain(content) });
const button = (url: string) => ({
  tag: "action",
  actions: [{ tag: "button", type: "default", text: plain("Open"), url }],
});

const CODES = {
  keys: ["code", "StatusCode"],
  slowDown: new Set([9499, 11232, 11233, 11247, 230020, 99991400]),
  wait: 10_000,
  busy: new Set([-1, 10000, 11200]),
  refused: new Set([19002, 11246]),
} as const;

/** 9499 is both "too many requests" and "bad request"; only the words tell which. */
function judge(status: number, body: string): Judgement | null {
  const { code, msg } = parsed(body);
  if (code === 9499 && typeof msg === "string" && /bad request/i.test(msg)) return refused("code 9499");
  return judgeByCode(CODES, status, body);
}
