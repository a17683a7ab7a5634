import type { WebhookConfig } from "../../../src/config/config.ts";
import { Secret } from "../../../src/config/secret.ts";
import { having, strings } from "./samples.ts";
import * as schemas from "./schemas.ts";

/** What one chat tool documents of the messages that it takes. */
export interface Medium {
  readonly settings: Partial<WebhookConfig>;
  readonly schema: object;
  /** Of the whole body, or of the text in it, in bytes. */
  readonly bytes: (body: string) => number;
  readonly most: number;
  /** Places where the medium reads markup: nothing hostile may be in them as it came. */
  readonly markup: (body: unknown) => readonly string[];
  readonly never: RegExp;
}

const MARKDOWN = /<[!@#a-z/h]|\]\(|!\[|`code`|\*bold\*|~strike~/i;

const whole = (body: string) => Buffer.byteLength(body);

export const MEDIA: Readonly<Record<string, Medium>> = {
  slack: {
    settings: { format: "slack" },
    schema: schemas.SLACK,
    bytes: whole,
    most: 40_000,
    markup: (body) =>
      strings(body).filter((text) => !/^<https:\/\/tw\.example\.org\/[^<>|]*\|Open>$/.test(text)),
    never: /[<>]|&(?!amp;|lt;|gt;)/,
  },
  teams: {
    settings: { format: "teams" },
    schema: schemas.TEAMS,
    bytes: whole,
    most: 28_000,
    markup: (body) => having(body, "fallbackText").map(({ fallbackText }) => String(fallbackText)),
    never: MARKDOWN,
  },
  feishu: {
    settings: { format: "feishu", secrets: [new Secret("s3cr3t")] },
    schema: schemas.FEISHU,
    bytes: whole,
    most: 20_000,
    markup: () => [],
    never: MARKDOWN,
  },
  dingtalk: {
    settings: { format: "dingtalk", secrets: [new Secret("SECs3cr3t")] },
    schema: schemas.DINGTALK,
    bytes: whole,
    most: 20_000,
    markup: (body) => [withoutOwnMarkup(having(body, "title").map(({ text }) => String(text))[0]!)],
    never: MARKDOWN,
  },
  wecom: {
    settings: { format: "wecom" },
    schema: schemas.WECOM,
    bytes: (body) => Buffer.byteLength(JSON.parse(body).markdown.content),
    most: 4096,
    markup: (body) => having(body, "content").map(({ content }) => withoutOwnMarkup(String(content))),
    never: MARKDOWN,
  },
};

/** Markdown less what the format itself puts there. */
const withoutOwnMarkup = (text: string): string =>
  text
    .split("\n")
    .map((line) =>
      line
        .replace(/^(- |> |#### )/, "")
        .replace(/^\*\*(.*)\*\*$/, "$1")
        .replace(/^<font color="[a-z#0-9]+">(.*)<\/font>$/, "$1")
        .replace(/^\[Open\]\(https:\/\/tw\.example\.org\/[^()[\]<>]*\)$/, ""),
    )
    .join("\n");
