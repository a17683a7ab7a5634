import type { RuntimeEvent } from "../ports/telemetry.ts";

type Kind = RuntimeEvent["kind"];
type EventOf<K extends Kind> = Extract<RuntimeEvent, { readonly kind: K }>;

/** One function for every kind of some events: a kind without one is a type error. */
export type Handlers<K extends Kind = Kind> = { readonly [N in K]: (event: EventOf<N>) => void };

export function handle(handlers: Handlers, event: RuntimeEvent): void {
  // The table is typed by kind, which a single call cannot follow.
  (handlers[event.kind] as (event: RuntimeEvent) => void)(event);
}

/** For kinds that one of the two readers has nothing to do with. */
export const nothing = (): void => undefined;
