import { validateDetailed } from "node-cron";
import { parseInstant } from "../instant.ts";
import { NotAllowed, orVariable, scalar } from "./scalars.ts";

const CRON = 'six cron fields, seconds first, such as "0 */5 * * * *"';
const FIELDS = ["second", "minute", "hour", "dayOfMonth", "month", "dayOfWeek"] as const;
const RANGES = ["0-59", "0-59", "0-23", "1-31", "1-12", "0-7"] as const;

/** A cron expression with six fields, seconds first. */
export const cron = () =>
  scalar(CRON, { type: "string" }, (value) => {
    const fields = value.trim().split(/\s+/);
    if (fields.length !== FIELDS.length) return undefined;
    const wrong = new Set<string>(validateDetailed(value).errors.map(({ field }) => field));
    const reasons = FIELDS.flatMap((name, index) => {
      const range = RANGES[index] ?? "";
      // node-cron takes a step of any size; one beyond the field's range would run once per round, which nobody means.
      const steps = [...(fields[index] ?? "").matchAll(/\/(\d+)/g)].map((step) => Number(step[1]));
      const most = Number(range.split("-")[1]);
      if (steps.some((step) => step > most)) return [`a step of at most ${most} in the field ${name}`];
      return wrong.has(name) ? [`a field ${name} in ${range}`] : [];
    });
    if (reasons.length > 0) return new NotAllowed(`${CRON}, with ${reasons.join(" and ")}`);
    return wrong.size > 0 ? undefined : value.trim();
  });

/** A name of the IANA time zone database. */
export const timezone = () =>
  scalar("an IANA time zone, such as UTC or Europe/Dublin", { type: "string" }, (value) => {
    if (!/^[A-Za-z]/.test(value)) return undefined;
    try {
      new Intl.DateTimeFormat("en", { timeZone: value });
      return value;
    } catch {
      return undefined;
    }
  });

/** `+HH:MM` as milliseconds east of UTC. */
export const utcOffset = () => {
  const json = orVariable({ type: "string", pattern: "^[+-](0\\d|1[0-4]):[0-5]\\d$" });
  return scalar("an offset from -14:59 to +14:59, such as +00:00 or +08:00", json, (value) => {
    const [, sign, hours, minutes] = /^([+-])(0\d|1[0-4]):([0-5]\d)$/.exec(value) ?? [];
    if (sign === undefined) return undefined;
    const offset = (Number(hours) * 60 + Number(minutes)) * 60_000;
    return sign === "-" && offset > 0 ? -offset : offset;
  });
};

/** `HH:MM` from 00:00 to 24:00, as minutes after midnight. */
export const timeOfDay = () =>
  scalar("a time of day from 00:00 to 24:00, in quotes", { type: "string" }, (value) => {
    const [, hours, minutes] = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(value) ?? [];
    if (value === "24:00") return 24 * 60;
    return hours === undefined ? undefined : Number(hours) * 60 + Number(minutes);
  });

/** An instant with its zone, as epoch milliseconds. */
export const instant = () =>
  scalar("a time with its zone, such as 2026-12-01T22:00:00Z", { type: "string" }, (value) => {
    const time = parseInstant(value);
    return time === "impossible" ? new NotAllowed("a date and a time of day that exist") : time;
  });
