import { clean } from "../util/clean.ts";
import { checkNames, type Part, parseTemplate, renderTemplate, TemplateError } from "../util/mustache.ts";
import { bareSample, fullSample, namesSample } from "./template-samples.ts";

export const TEMPLATE_TYPE = "application/json";
/** As many as a template that goes through `events` gets at once. */
const MANY = 50;
const TEMPLATE_CHARACTERS = 64_000;
/** A receiver of one's own takes what one's own template makes, within reason. */
const BODY_CHARACTERS = 1_000_000;

export interface TemplateSettings {
  readonly template: string;
  readonly content_type: string;
  /** Is it to show several events at once? */
  readonly grouped: boolean;
}

/** The operator's own body for an event, or for several where it goes through `events`. */
export interface Template {
  /** How many events it shows at once. */
  readonly maxEvents: number;
  /**
   * A template sees the CloudEvent (`data.task.name`) of the only or first event, `count`, and `events`, of which each
   * also has `first` and `last`. What is missing shows nothing. Throws when it becomes too long.
   * @param bodies CloudEvents in JSON, at least one
   */
  render(bodies: readonly string[]): string;
}

/** Tries the template on sample events, too. Throws `TemplateError`. */
export function compileTemplate(settings: TemplateSettings): Template {
  const { template, content_type, grouped } = settings;
  if (template.length > TEMPLATE_CHARACTERS)
    throw new TemplateError(`${template.length} characters`, `at most ${TEMPLATE_CHARACTERS}`);
  const parts = parseTemplate(template);
  const names = { ...(namesSample() as object), first: true, last: true };
  checkNames(parts, { ...names, count: 1, events: [names] });
  const many = goesThroughEvents(parts);
  if (grouped && !many)
    throw new TemplateError("no {{#events}}…{{/events}}, which group needs", "it, or group: off");
  const quote = escapeFor(content_type);
  const render = (bodies: readonly string[]) => renderTemplate(parts, viewOf(bodies), quote, BODY_CHARACTERS);
  const maxEvents = many ? MANY : 1;
  for (const bodies of samples(maxEvents)) {
    const body = render(bodies);
    if (isJson(content_type)) checkJson(body);
  }
  return { maxEvents, render };
}

const samples = (most: number): readonly (readonly string[])[] => [
  [fullSample()],
  [bareSample()],
  ...(most > 1 ? [[fullSample(), bareSample(), fullSample()], Array(most).fill(fullSample())] : []),
];

function viewOf(bodies: readonly string[]): unknown {
  const last = bodies.length - 1;
  const events = bodies.map((body, index) => ({ ...parsed(body), first: index === 0, last: index === last }));
  return { ...events[0], count: events.length, events };
}

/** An old event, or one that was put in by hand, may be anything. */
function parsed(body: string): object {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

function checkJson(text: string): void {
  try {
    JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? clean(error.message).slice(0, 200) : "";
    throw new TemplateError(
      `that a sample event gives what is not JSON (${why})`,
      "JSON, with values between quotes or, where they can be null, in {{#x}}{{x}}{{/x}}{{^x}}null{{/x}}",
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
