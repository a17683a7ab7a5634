/*
 * What each medium documents of the messages that are sent to it: the limits of Slack's Block Kit, the elements of
 * adaptive cards, the cards of Feishu, the Markdown messages of DingTalk and WeCom. Everything else is refused.
 */

const object = (properties: Readonly<Record<string, object>>, optional: readonly string[] = []) => ({
  type: "object",
  properties,
  required: Object.keys(properties).filter((key) => !optional.includes(key)),
  additionalProperties: false,
});
const text = (maxLength: number) => ({ type: "string", minLength: 1, maxLength });
const list = (items: object, maxItems: number) => ({ type: "array", items, minItems: 1, maxItems });
const url = { type: "string", pattern: "^https?://[^ <>|]+$", maxLength: 3000 };

const slackText = (maxLength: number) =>
  object({ type: { const: "plain_text" }, text: text(maxLength), emoji: { const: false } });

export const SLACK = object({
  text: text(40_000),
  mrkdwn: { const: false },
  parse: { const: "none" },
  link_names: { const: false },
  unfurl_links: { const: false },
  unfurl_media: { const: false },
  // 20 attachments are what Slack advises, 50 blocks the most of one message; here 20 times 2.
  attachments: list(
    object({
      color: { type: "string", pattern: "^#[0-9a-f]{6}$" },
      blocks: list(
        {
          oneOf: [
            object({ type: { const: "section" }, text: slackText(3000) }),
            object({ type: { const: "section" }, fields: list(slackText(2000), 10) }),
            object({
              type: { const: "context" },
              elements: list(
                object({ type: { const: "mrkdwn" }, text: text(3000), verbatim: { const: true } }),
                10,
              ),
            }),
          ],
        },
        10,
      ),
    }),
    20,
  ),
});

const openUrl = (more: Readonly<Record<string, object>> = {}) =>
  object({ type: { const: "Action.OpenUrl" }, url, ...more });

const textRun = object(
  {
    type: { const: "TextRun" },
    text: text(28_000),
    weight: { enum: ["Bolder"] },
    size: { enum: ["Medium"] },
    color: { enum: ["Attention", "Warning", "Accent", "Good"] },
    isSubtle: { type: "boolean" },
    selectAction: openUrl(),
  },
  ["weight", "size", "color", "isSubtle", "selectAction"],
);
const richText = object({
  type: { const: "RichTextBlock" },
  spacing: { enum: ["Small"] },
  inlines: list(textRun, 5),
});

export const TEAMS = object({
  type: { const: "message" },
  attachments: list(
    object({
      contentType: { const: "application/vnd.microsoft.card.adaptive" },
      contentUrl: { type: "null" },
      content: object(
        {
          $schema: { const: "http://adaptivecards.io/schemas/adaptive-card.json" },
          type: { const: "AdaptiveCard" },
          version: { const: "1.4" },
          msteams: object({ width: { const: "Full" } }),
          fallbackText: text(2000),
          body: list(
            {
              oneOf: [
                richText,
                object({
                  type: { const: "Container" },
                  style: { enum: ["attention", "warning", "emphasis", "good"] },
                  bleed: { type: "boolean" },
                  items: list(richText, 5),
                }),
              ],
            },
            100,
          ),
          actions: list(openUrl({ title: text(50) }), 6),
        },
        ["actions"],
      ),
    }),
    1,
  ),
});

const feishuText = object({ tag: { const: "plain_text" }, content: text(20_000) });

export const FEISHU = object(
  {
    timestamp: { type: "string", pattern: "^\\d{1,10}$" },
    sign: { type: "string", pattern: "^[A-Za-z0-9+/]{43}=$" },
    msg_type: { const: "interactive" },
    card: object({
      config: object({ wide_screen_mode: { const: true } }),
      header: object({
        template: {
          enum: [
            "blue",
            "wathet",
            "turquoise",
            "green",
            "yellow",
            "orange",
            "red",
            "carmine",
            "violet",
            "purple",
            "indigo",
            "grey",
          ],
        },
        title: feishuText,
      }),
      elements: list(
        {
          oneOf: [
            object({ tag: { const: "hr" } }),
            object({ tag: { const: "div" }, text: feishuText }),
            object({
              tag: { const: "action" },
              actions: list(
                object({ tag: { const: "button" }, type: { const: "default" }, text: feishuText, url }),
                1,
              ),
            }),
          ],
        },
        50,
      ),
    }),
  },
  ["timestamp", "sign"],
);

export const DINGTALK = object({
  msgtype: { const: "markdown" },
  markdown: object({ title: text(2000), text: text(20_000) }),
  at: object({
    atMobiles: { type: "array", maxItems: 0 },
    atUserIds: { type: "array", maxItems: 0 },
    isAtAll: { const: false },
  }),
});

export const WECOM = object({
  msgtype: { const: "markdown" },
  markdown: object({ content: text(4096) }),
});

const details = { type: "object", additionalProperties: { type: "string" } };
const links = list(object({ href: url, text: text(100) }), 1);
const common = {
  summary: text(1024),
  source: text(255),
  timestamp: { type: "string", pattern: "^\\d{4}-\\d\\d-\\d\\dT.*Z$" },
  custom_details: details,
};

export const PAGERDUTY_ALERT = object(
  {
    routing_key: { type: "string", pattern: "^[0-9a-z]{32}$" },
    event_action: { enum: ["trigger", "acknowledge", "resolve"] },
    dedup_key: text(255),
    payload: object(
      {
        ...common,
        severity: { enum: ["critical", "error", "warning", "info"] },
        component: text(255),
        group: text(255),
        class: text(255),
      },
      ["timestamp", "component", "group"],
    ),
    client: text(255),
    client_url: url,
    links,
  },
  ["client_url", "links"],
);

export const PAGERDUTY_CHANGE = object(
  {
    routing_key: { type: "string", pattern: "^[0-9a-z]{32}$" },
    payload: object(common, ["timestamp"]),
    links,
  },
  ["links"],
);
