import type { WebhookConfig } from "../../config/config.ts";
import { UsageError } from "../../errors.ts";
import type { Format, FormattedEvent } from "../format.ts";
import { standardWebhookHeaders } from "../sign.ts";
import { checkNames, type Part, parseTemplate, renderTemplate, TemplateError } from "./mustache.ts";
import { parsed } from "./reading.ts";
import { bareSample, fullSample, namesSample } from "./template-samples.ts";
import { clean } from "./text.ts";

const DEFAULT_TYPE = "application/json";
/** As many as a template that goes through `events` gets at once. */
const MANY = 50;
/** A receiver of one's own takes what one's own template makes, within reason. */
const MESSAGE_BYTES = 1_000_000;

type Settings = Pick<WebhookConfig, "name" | "urls" | "secrets" | "template" | "content_type" | "group">;

/**
 * The operator's own body. A template sees the CloudEvent (`data.task.name`) of the only or first event, `count`, and
 * `events`, of which each also has `first` and `last`. It is tried on sample events: throws `UsageError` with the
 * place, what was found and what is allowed.
 */
export function template(webhook: Settings): Format {
  const url = webhook.urls[0].reveal();
  const secrets = webhook.secrets.map((secret) => secret.reveal());
  const type = webhook.content_type ?? DEFAULT_TYPE;
  const quote = escapeFor(type);
  const parts = checked(webhook, type, quote);
  return {
    maxEvents: goesThroughEvents(parts) ? MANY : 1,
    render(events, now) {
      const [first] = events;
      if (first === undefined) throw new Error("nothing to render");
      const body = renderTemplate(parts, viewOf(events.map(({ body }) => body)), quote);
      if (Buffer.byteLength(body) > MESSAGE_BYTES) throw new Error("the body is too long");
      const headers = standardWebhookHeaders(first.id, body, secrets, now);
      return { method: "POST", url, headers: { "content-type": type, ...headers }, body };
    },
  };
}

function viewOf(bodies: readonly FormattedEvent["body"][]): unknown {
  const last = bodies.length - 1;
  const events = bodies.map((body, index) => ({ ...parsed(body), first: index === 0, last: index === last }));
  return { ...events[0], count: events.length, events };
}

function checked({ name, template: source, group }: Settings, type: string, quote: Escape): readonly Part[] {
  const where = `webhook ${name}: template`;
  try {
    const parts = parseTemplate(source ?? "");
    const names = { ...(namesSample() as object), first: true, last: true };
    checkNames(parts, { ...names, count: 1, events: [names] });
    if (group !== null && !goesThroughEvents(parts))
      throw new TemplateError(
        "found no {{#events}}…{{/events}}, which group needs; allowed: it, or group: off",
        null,
      );
    if (isJson(type)) for (const bodies of SAMPLES) checkJson(renderTemplate(parts, viewOf(bodies()), quote));
    return parts;
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    const place = error.at === null ? "" : `, line ${error.at.line}, column ${error.at.column}`;
    throw new UsageError(`${where}${place}: ${error.message}`);
  }
}

const SAMPLES: readonly (() => readonly string[])[] = [
  () => [fullSample()],
  () => [bareSample()],
  () => [fullSample(), bareSample(), fullSample()],
];

function checkJson(text: string): void {
  try {
    JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message.slice(0, 200) : "";
    throw new TemplateError(
      `a sample event gives what is not JSON (${why}): ${clean(text).slice(0, 300)}; allowed: JSON, with values between quotes or, where they can be null, in {{#x}}{{x}}{{/x}}{{^x}}null{{/x}}`,
      null,
    );
  }
}

const goesThroughEvents = (parts: readonly Part[]): boolean =>
  parts.some(
    (part) =>
      part.kind === "section" &&
      ((!part.inverted && part.path.join(".") === "events") || goesThroughEvents(part.parts)),
  );

type Escape = (text: string) => string;

const isJson = (type: string): boolean => /[/+]json\b/i.test(type);

/** By content type; where no rule is known, a value is one line of what it holds. */
function escapeFor(type: string): Escape {
  if (isJson(type)) return (text) => JSON.stringify(text.toWellFormed()).slice(1, -1);
  if (/[/+](xml|html)\b/i.test(type))
    return (text) => clean(text).replace(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`);
  if (/x-www-form-urlencoded/i.test(type)) return (text) => encodeURIComponent(text.toWellFormed());
  return clean;
}
