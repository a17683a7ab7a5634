import type { Client } from "./connect.ts";
import { asStoreErrors } from "./errors.ts";

/**
 * All replies of a pipeline. Rejects with StoreError where one of them is an error. No MULTI: a server whose memory is
 * full refuses even reads in it. Where replies must fit together, what tells of a change (generation, revision) comes
 * first: newer data under an older number is noticed at the next write.
 */
export async function replies(pipeline: ReturnType<Client["pipeline"]>): Promise<readonly unknown[]> {
  return await asStoreErrors("read", async () =>
    ((await pipeline.exec()) ?? []).map(([error, reply]) => {
      if (error) throw error;
      return reply;
    }),
  );
}
