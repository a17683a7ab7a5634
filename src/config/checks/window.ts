import { window } from "../schema/rules.ts";
import type { Path, Source } from "../source.ts";
import { type Bound, durationAt, ordered } from "./common.ts";

const WINDOW = window.parse({});

/** `lookback` within `max_lookback`, of an instance with what holds for all where it sets nothing itself. */
export function checkWindow(source: Source, path: Path): void {
  const bound = (at: Path, key: "lookback" | "max_lookback"): Bound => ({
    path: [...at, "window", key],
    otherwise: at.length > 0 ? durationAt(source, bound([], key)) : WINDOW[key],
  });
  ordered(source, bound(path, "lookback"), bound(path, "max_lookback"));
}
