import { parseInstant } from "../instant.ts";
import type { Path, Source, TreeMap } from "../source.ts";
import { say } from "./common.ts";

export function checkMaintenance(source: Source, path: Path, window: TreeMap): void {
  const has = (key: string) => Object.hasOwn(window, key);
  const weekly = ["days", "from", "to", "timezone"].filter(has);
  const absolute = ["start", "end"].filter(has);
  const forms = "from and to (with days, timezone), or start and end";
  if (weekly.length > 0 === absolute.length > 0) {
    const found = weekly.length > 0 ? `${weekly.join(", ")} beside ${absolute.join(", ")}` : "neither";
    say(source, path, forms, found);
    return;
  }
  for (const key of weekly.length > 0 ? ["from", "to"] : ["start", "end"]) {
    if (!has(key)) say(source, [...path, key], forms, "nothing");
  }
  if (typeof window.from === "string" && window.from === window.to) {
    say(source, [...path, "to"], "another time than from");
  }
  const [start, end] = [window.start, window.end].map((text) =>
    typeof text === "string" ? parseInstant(text) : undefined,
  );
  if (typeof start === "number" && typeof end === "number" && end <= start) {
    say(source, [...path, "end"], "a time after start");
  }
}
