import { describe } from "vitest";
import type { OpenStore } from "./contract/back-end.ts";
import { commitContract } from "./contract/commit.ts";
import { deadLettersContract } from "./contract/dead-letters.ts";
import { leasesContract } from "./contract/leases.ts";
import { modelContract } from "./contract/model.ts";
import { notesContract } from "./contract/notes.ts";
import { outboxContract } from "./contract/outbox.ts";
import { pruneContract } from "./contract/prune.ts";
import { readerContract } from "./contract/reader.ts";
import { stateContract } from "./contract/state.ts";
import { unreadableContract } from "./contract/unreadable.ts";
import { useStore } from "./contract/use-store.ts";

export { type OpenedStore, type OpenStore, SHARDS } from "./contract/back-end.ts";

/** What every back end promises. `open` gives an empty store of `SHARDS` shards, each time another one. */
export function storeContract(name: string, open: OpenStore): void {
  describe(`${name}: state`, () => stateContract(useStore(open)));
  describe(`${name}: commit`, () => commitContract(useStore(open)));
  describe(`${name}: outbox`, () => outboxContract(useStore(open)));
  describe(`${name}: dead letters`, () => deadLettersContract(useStore(open)));
  describe(`${name}: prune`, () => pruneContract(useStore(open)));
  describe(`${name}: leases`, () => leasesContract(useStore(open)));
  describe(`${name}: notes and budget`, () => notesContract(useStore(open)));
  describe(`${name}: unreadable records`, () => unreadableContract(useStore(open)));
  describe(`${name}: reader`, () => readerContract(useStore(open)));
  describe(`${name}: model`, () => modelContract(useStore(open)));
}
