import { type UnwatchedProject, unwatchedProjects } from "../app/unwatched-projects.ts";
import type { Config } from "../config/config.ts";
import { systemClock } from "../platform/clock.ts";
import type { Store } from "../ports/store.ts";
import { printable } from "../views/printable.ts";
import { timeText } from "../views/text.ts";
import type { Io } from "./io.ts";

/** Names on stderr what the daemon does not watch. Returns how many projects that are. Rejects with StoreError. */
export async function tellUnwatched(store: Store, config: Config, io: Io): Promise<number> {
  const unwatched = await unwatchedProjects(store, config, systemClock);
  for (const each of unwatched) io.err(printable(sentence(each)));
  return unwatched.length;
}

function sentence({ project, since, cause, reason }: UnwatchedProject): string {
  const told = since === null ? "not reported by the daemon yet" : `since ${timeText(since)}, ${cause}`;
  return `not watched: project ${project}: ${reason} (${told})`;
}
