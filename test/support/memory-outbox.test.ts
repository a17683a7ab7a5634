import { describe } from "vitest";
import { claimContract } from "../store/contract/claim.ts";
import { MemoryOutbox } from "./memory-outbox.ts";

describe("the outbox in memory keeps what the stores promise of claims:", () => {
  claimContract(async () => {
    const outbox = new MemoryOutbox();
    return {
      store: {
        outbox,
        leases: { acquire: async (shard, owner) => outbox.acquire(shard, owner) },
        state: {
          async commit(_lease, { shard, events }) {
            for (const { event, body, lane } of events) {
              const { id, type, time, webhooks } = event;
              outbox.put(shard, webhooks, { lane, body, id, type }, time);
            }
            return { kind: "ok", generation: 1 };
          },
        },
      },
    };
  });
});
