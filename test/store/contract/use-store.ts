import { afterEach } from "vitest";
import type { OpenedStore, OpenStore } from "./back-end.ts";

/** Opens a store for the test that runs; it is disposed of when the test ends, however it ends. */
export type UseStore = () => Promise<OpenedStore>;

export function useStore(open: OpenStore): UseStore {
  const opened: OpenedStore[] = [];
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.dispose();
  });
  return async () => {
    const one = await open();
    opened.push(one);
    return one;
  };
}
