import { createHmac } from "node:crypto";
import type { WebhookConfig } from "../../config/config.ts";
import type { Format } from "../format.ts";
import { type Dialect, markdown } from "./markdown.ts";
import type { Severity } from "./note.ts";
import { judgeByCode } from "./reply.ts";
import { bytes, fitted } from "./text.ts";

const COLOURS: Readonly<Record<Severity, string>> = {
  critical: "#a30200",
  error: "#d9302c",
  warning: "#e8a33d",
  info: "#7a869a",
  good: "#2e9e5b",
};

/** DingTalk takes 20,000 bytes. */
const MESSAGE_BYTES = 19_000;

/** A custom robot: a Markdown message; time and signature go in the query. */
export function dingtalk(webhook: Pick<WebhookConfig, "urls" | "secrets">): Format {
  const url = webhook.urls[0].reveal();
  const secret = webhook.secrets[0]?.reveal() ?? null;
  return {
    maxEvents: 40,
    limits: [{ requests: 20, per: 60_000 }],
    render: (events, now) => ({
      method: "POST",
      url: signed(url, secret, now),
      headers: { "content-type": "application/json; charset=utf-8" },
      body: fitted(
        (cell) =>
          JSON.stringify({
            msgtype: "markdown",
            markdown: markdown(events, cell, DIALECT),
            at: { atMobiles: [], atUserIds: [], isAtAll: false },
          }),
        (text) => bytes(text) <= MESSAGE_BYTES,
      ),
    }),
    judge: (status, body) => judgeByCode(CODES, status, body),
  };
}

function signed(url: string, secret: string | null, now: number): string {
  if (secret === null) return url;
  const timestamp = String(Math.floor(now));
  const sign = createHmac("sha256", secret).update(`${timestamp}\n${secret}`).digest("base64");
  const { href } = new URL(url);
  return `${href}${href.includes("?") ? "&" : "?"}timestamp=${timestamp}&sign=${encodeURIComponent(sign)}`;
}

const DIALECT: Dialect = {
  title: (text, severity) => `#### <font color="${COLOURS[severity]}">${text}</font>`,
  fact: (name, value) => `- ${name}: ${value}`,
  line: (text) => `- ${text}`,
  between: "\n\n",
};

const CODES = {
  keys: ["errcode"],
  slowDown: new Set([130101, 130102, 410100, 90002, 90018, 90030]),
  wait: 60_000,
  busy: new Set([-1]),
  refused: new Set([40035, 43004, 400105, 400106, 430101, 430102, 430103, 430104, 460101]),
} as const;
