import { expect, test, vi } from "vitest";
import { DEMO_KEY } from "../../src/simulator/server.ts";
import { House, type Replica } from "../support/replicas.ts";

vi.setConfig({ testTimeout: 120_000 });

const INSTANCES = 40;
const NAMED = 10;

/** The instances that each of the replicas shows as polled. */
const polledBy = (replicas: readonly Replica[]): Promise<string[][]> =>
  Promise.all(
    replicas.map(async ({ daemon }) =>
      (await daemon.scrape()).series("dms_instance_up").map(({ labels }) => labels.instance_name ?? ""),
    ),
  );

test("replicas that start in the same moment share what is named and what they discover; the rest of one that dies goes to the others", async () => {
  await using house = await House.open({
    simulator: {
      projects: [
        {
          keys: [DEMO_KEY],
          instances: Array.from({ length: INSTANCES }, (_, n) => ({ name: `queue-${n}` })),
        },
      ],
    },
    project: { discover: { every: "2s" } },
    named: NAMED,
  });
  // Slow enough that the shard whose owner lists changes hands meanwhile.
  house.simulator.control.addFault({ kind: "delay", operation: "list_instances", delay: "700ms" });
  const all = Array.from({ length: INSTANCES }, (_, n) => `queue-${n}`).sort();
  const replicas = await house.start(3);
  const shared = async (among: readonly Replica[]) => {
    const shown = await polledBy(among);
    expect(shown.flat().sort()).toEqual(all);
    for (const [index, each] of shown.entries()) expect(each, `replica ${index}`).not.toEqual([]);
  };
  await vi.waitFor(() => shared(replicas), { timeout: 40_000, interval: 200 });
  const [first, ...others] = replicas;
  first?.daemon.kill("SIGKILL");
  await vi.waitFor(() => shared(others), { timeout: 40_000, interval: 200 });
});
