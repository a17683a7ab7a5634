import { expect, test, vi } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import { DEMO_KEY } from "../../src/simulator/server.ts";
import { House } from "../support/replicas.ts";

vi.setConfig({ testTimeout: 120_000 });

const INSTANCES = 60;
const RATE = 30;
/** Several batches of the budget, on a busy machine. */
const AT_ONCE_MS = 700;

test("credentials that are refused to one replica are used by none of them after its next tokens", async () => {
  await using house = await House.open({
    simulator: {
      projects: [
        {
          keys: [DEMO_KEY],
          instances: Array.from({ length: INSTANCES }, (_, n) => ({ name: `queue-${n}` })),
        },
      ],
    },
    // More polls are due than the budget has tokens for: all replicas take tokens all the time.
    project: { requests_per_second: RATE },
  });
  const { control } = house.simulator;
  const replicas = await house.start(3);
  await vi.waitFor(
    async () => {
      for (const { daemon } of replicas) {
        const scrape = await daemon.scrape();
        expect(scrape.sum("dms_instance_up")).toBeGreaterThan(0);
        expect(scrape.value("taskwatch_credentials_valid", { project: "prod" })).toBe(1);
      }
    },
    { timeout: 30_000, interval: 200 },
  );
  control.clearRequests();
  // One call of one replica; those that others have in flight are answered well, some of them after it.
  control.addFault({ kind: "error", status: 401, code: "APIGW.0301", operation: "list_tasks", times: 1 });
  await Promise.all(
    replicas.map(({ daemon }) =>
      daemon.log.until("credentials refused: all calls that use them are stopped"),
    ),
  );
  await systemClock.sleep(3 * AT_ONCE_MS);
  const at = control.requests({ status: 401 })[0]?.time ?? 0;
  expect(at).toBeGreaterThan(0);
  const after = control.requests().filter(({ time }) => time > at);
  const last = after.at(-1)?.time ?? at;
  console.log(`${after.length} calls after the refused one, the last ${last - at} ms later`);
  expect(last - at).toBeLessThanOrEqual(AT_ONCE_MS);
});
