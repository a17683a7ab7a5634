import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { createHttpServer } from "../../src/http/server.ts";
import { CONTENT_TYPES, type Format } from "../../src/observe/text-format.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { Folder } from "../support/daemon.ts";
import { Prometheus } from "../support/prometheus.ts";
import { EVERY_EVENT, fullView, scene } from "./scene.ts";
import { record, T0, task, view } from "./views.ts";

const clean: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of clean.splice(0).reverse()) await step();
});

/** A Prometheus that scrapes these targets every second; it ends with the test. */
async function prometheus(targets: Readonly<Record<string, string>>): Promise<Prometheus> {
  const folder = await Folder.create();
  clean.push(() => folder[Symbol.asyncDispose]());
  const jobs = Object.entries(targets).map(([job_name, target]) => ({
    job_name,
    static_configs: [{ targets: [target] }],
  }));
  const config = { global: { scrape_interval: "1s", scrape_timeout: "1s" }, scrape_configs: jobs };
  const server = await Prometheus.start(await folder.write("prometheus.yml", config));
  clean.push(() => server[Symbol.asyncDispose]());
  return server;
}

/** Counts scrapes: when one begins, the one before has been read to its end. */
function scrapes(): { readonly seen: () => void; readonly count: (n: number) => Promise<void> } {
  let begun = 0;
  const waiting: { readonly n: number; readonly resolve: () => void }[] = [];
  return {
    seen() {
      begun += 1;
      for (const { n, resolve } of waiting) if (begun >= n) resolve();
    },
    count: (n) =>
      new Promise((resolve) => {
        if (begun >= n) resolve();
        else waiting.push({ n, resolve });
      }),
  };
}

test("a real Prometheus reads both formats to the end, hostile labels included, and finds the same series", async () => {
  const hostile = 'a"b\\c\nd{e="f"} 1 # é 任务';
  const { recorder, exposition, metrics, show } = scene({
    projects: [
      { name: "prod", requestsPerSecond: 5, discoverySeconds: 300 },
      { name: hostile, requestsPerSecond: 5, discoverySeconds: null },
    ],
    webhooks: ["ops", hostile],
    shards: 16,
  });
  metrics.collectDefaults();
  for (const event of EVERY_EVENT) recorder.emit(event);
  show(
    fullView(),
    view({
      project: { name: hostile, region: hostile },
      record: record({ instanceId: hostile, name: hostile }),
      tasks: [task({ name: hostile })],
    }),
  );

  const formats = new Set<Format>();
  const openMetrics = scrapes();
  const server = await createHttpServer({
    settings: {
      listen: { host: "127.0.0.1", port: 0 },
      external_url: "",
      tls: null,
      auth: null,
      metrics_auth: true,
      reload: false,
    },
    clock: systemClock,
    metrics: (format) => {
      openMetrics.seen();
      formats.add(format);
      return exposition.render(format);
    },
    ready: () => ({ ok: true, reasons: [] }),
    reload: () => Promise.resolve({ ok: true }),
    onError: (error) => {
      throw error;
    },
    onRefused: () => undefined,
  });
  clean.push(() => server.close(0));
  const { port } = await server.listen();

  // Prometheus always asks for OpenMetrics, so the text format needs a server that knows no other.
  const plain = scrapes();
  const textOnly = createServer(async (_request, response) => {
    plain.seen();
    response.setHeader("content-type", CONTENT_TYPES.text);
    response.end(Buffer.concat([...(await exposition.render("text"))]));
  }).listen(0, "127.0.0.1");
  clean.push(() => textOnly.close().closeAllConnections());
  await once(textOnly, "listening");

  const reader = await prometheus({
    openmetrics: `127.0.0.1:${port}`,
    text: `127.0.0.1:${(textOnly.address() as AddressInfo).port}`,
  });
  await Promise.all([openMetrics.count(2), plain.count(2)]);

  expect([...formats]).toEqual(["openmetrics"]);
  const up = await reader.query("up");
  expect(up.map(({ metric, value }) => [metric.job, value[1]]).sort()).toEqual([
    ["openmetrics", "1"],
    ["text", "1"],
  ]);
  for (const job of ["openmetrics", "text"]) {
    const open = await reader.query(`dms_tasks_open{job="${job}"}`);
    expect(
      open.map(({ metric }) => [metric.project, metric.instance_id, metric.task_name, metric.status]),
    ).toContainEqual([hostile, hostile, expect.stringMatching(/^[A-Za-z0-9_.-]+$/), "EXECUTING"]);
    const [info] = await reader.query(`dms_instance_info{job="${job}",project!="prod"}`);
    expect(info?.metric).toMatchObject({ instance_name: hostile, cloud_region: hostile });
    const [success] = await reader.query(`dms_task_last_success_timestamp_seconds{job="${job}"}`);
    expect(Number(success?.value[1])).toBe((T0 - 4_000_000) / 1000);
  }
  // The same names in both, counters with _total and histograms with their parts.
  const names = async (job: string) =>
    (await reader.query(`count by (__name__) ({job="${job}",__name__=~"(dms|taskwatch)_.+"})`))
      .map(({ metric, value }) => `${metric.__name__} ${value[1]}`)
      .sort();
  const found = await names("openmetrics");
  expect(found).toEqual(await names("text"));
  expect(found).toContain("dms_task_failures_total 2");
  expect(found).toContain("dms_task_duration_seconds_bucket 14");
});
