import type { Budget, SharedDocuments } from "../../ports/store.ts";
import type { Client } from "./connect.ts";
import { asStoreErrors } from "./errors.ts";
import type { Keys } from "./keys.ts";
import type { Run } from "./scripts.ts";

export function redisNotes(client: Client, keys: Keys, run: Run): SharedDocuments {
  return {
    async read(name) {
      return parse(await asStoreErrors("note", () => client.hget(keys.notes, name)));
    },

    async write(name, value, expectVersion) {
      const args = [name, expectVersion, value === null ? 0 : 1, value ?? ""];
      return (await run("note", [keys.notes, keys.aside], args)) === 1;
    },

    async list(prefix) {
      const names = (await asStoreErrors("note", () => client.hkeys(keys.notes)))
        .filter((name) => name.startsWith(prefix))
        .sort();
      if (names.length === 0) return [];
      const texts = await asStoreErrors("note", () => client.hmget(keys.notes, ...names));
      return names.flatMap((name, index) => {
        const note = parse(texts[index] ?? null);
        return note ? [{ name, value: note.value }] : [];
      });
    },

    async setAside(name, expectVersion, why) {
      return (await run("asidenote", [keys.notes, keys.aside], [name, expectVersion, why])) === 1;
    },
  };
}

/** `version 1value`; `version 0` for a note that was removed. */
function parse(text: string | null): { readonly value: string; readonly version: number } | null {
  if (text === null) return null;
  const [head = "", version = ""] = /^(\d+) 1/.exec(text) ?? [];
  return head === "" ? null : { version: Number(version), value: text.slice(head.length) };
}

export function redisBudget(keys: Keys, run: Run): Budget {
  return {
    async take(projectId, ratePerSecond, want) {
      const [granted = 0, retryIn = 0] = (await run(
        "take",
        [keys.budget(projectId)],
        [ratePerSecond, want],
      )) as number[];
      return { granted, retryIn };
    },
  };
}
