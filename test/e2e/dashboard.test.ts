import { expect, test } from "vitest";
import { expressions, readDashboards } from "../alerts/dashboard.ts";
import { shippedPrometheus } from "../alerts/shipped.ts";
import { Demo } from "../support/demo.ts";
import { freePort } from "../support/free-port.ts";
import { Prometheus } from "../support/prometheus.ts";

test("on the demo, every query of the dashboard shows something", { timeout: 180_000 }, async () => {
  await using demo = await Demo.start();
  const url = new URL(await demo.url());
  const port = await freePort();
  const file = await shippedPrometheus(demo.folder.path, {
    taskwatch: [url.host],
    prometheus: `127.0.0.1:${port}`,
    alertmanager: "127.0.0.1:9",
  });
  await using prometheus = await Prometheus.start(file, { port });
  const open = new Map(
    readDashboards()
      .flatMap(expressions)
      .map(({ place, expr }) => [place, expr]),
  );
  const shown = async (expr: string) =>
    (await prometheus.query(expr)).some(({ value }) => value[1] !== "NaN");
  const empty = async () => {
    for (const [place, expr] of open) if (await shown(expr)) open.delete(place);
    return [...open.keys()];
  };
  await expect.poll(empty, { timeout: 150_000, interval: 2_000 }).toEqual([]);
});
