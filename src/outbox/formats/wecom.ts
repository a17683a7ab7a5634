import type { WebhookConfig } from "../../config/config.ts";
import type { Format } from "../format.ts";
import { type Dialect, markdown } from "./markdown.ts";
import type { Severity } from "./note.ts";
import { judgeByCode } from "./reply.ts";
import { bytes, cut, fitted } from "./text.ts";

/** The three that WeCom has: orange, grey and green. */
const COLOURS: Readonly<Record<Severity, string>> = {
  critical: "warning",
  error: "warning",
  warning: "warning",
  info: "comment",
  good: "info",
};

/** WeCom takes 4,096 bytes of Markdown. */
const CONTENT_BYTES = 4_000;

/** A group robot: a Markdown message. The key is in the URL; there is no signature. */
export function wecom(webhook: Pick<WebhookConfig, "urls">): Format {
  const url = webhook.urls[0].reveal();
  return {
    maxEvents: 20,
    limits: [{ requests: 20, per: 60_000 }],
    render: (events) => ({
      method: "POST",
      url,
      headers: { "content-type": "application/json; charset=utf-8" },
      body: JSON.stringify({
        msgtype: "markdown",
        markdown: {
          content: fitted(
            (cell) => markdown(events, cell, DIALECT).text,
            (text) => bytes(text) <= CONTENT_BYTES,
          ),
        },
      }),
    }),
    judge: (status, body) => judgeByCode(CODES, status, body),
  };
}

const DIALECT: Dialect = {
  title: (text, severity) => `**<font color="${COLOURS[severity]}">${text}</font>**`,
  fact: (name, value) => `> ${name}: ${value}`,
  line: (text) => `> ${cut(text, 120)}`,
  between: "\n",
};

const CODES = {
  keys: ["errcode"],
  slowDown: new Set([45009, 45033]),
  wait: 60_000,
  busy: new Set([-1]),
  refused: new Set([40008, 40058, 44004, 45002]),
} as const;
