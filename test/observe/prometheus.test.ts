import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createSocketServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { createHttpServer } from "../../src/http/server.ts";
import { CONTENT_TYPES, type Format } from "../../src/observe/text-format.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { EVERY_EVENT, fullView, scene } from "./scene.ts";
import { record, T0, task, view } from "./views.ts";

const clean: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of clean.splice(0).reverse()) await step();
});

async function freePort(): Promise<number> {
  const server = createSocketServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Resolves when Prometheus answers; the process ends with the test. */
async function prometheus(targets: Readonly<Record<string, string>>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "taskwatch-prometheus-"));
  const jobs = Object.entries(targets).map(([job_name, target]) => ({
    job_name,
    static_configs: [{ targets: [target] }],
  }));
  const config = { global: { scrape_interval: "1s", scrape_timeout: "1s" }, scrape_configs: jobs };
  writeFileSync(join(folder, "prometheus.yml"), JSON.stringify(config));
  const port = await freePort();
  const server: ChildProcess = spawn(
    "prometheus",
    [
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  clean.push(async () => {
    if (server.exitCode === null && server.pid !== undefined) {
      server.kill("SIGKILL");
      await once(server, "exit");
    }
    rmSync(folder, { recursive: true, force: true });
  });
  let said = "";
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) =>
      reject(new Error(`prometheus is needed: apt-get install prometheus (${error})`)),
    );
    server.once("exit", (code) => reject(new Error(`prometheus ended with ${code}: ${said}`)));
    server.stderr?.on("data", (chunk: Buffer) => {
      said += chunk;
      if (said.includes("Server is ready to receive web requests")) resolve();
    });
  });
  return `http://127.0.0.1:${port}`;
}

interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

async function query(prometheusUrl: string, expression: string): Promise<readonly Series[]> {
  const answer = await fetch(`${prometheusUrl}/api/v1/query?query=${encodeURIComponent(expression)}`);
  const body = (await answer.json()) as { readonly data: { readonly result: readonly Series[] } };
  return body.data.result;
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

  const url = await prometheus({
    openmetrics: `127.0.0.1:${port}`,
    text: `127.0.0.1:${(textOnly.address() as AddressInfo).port}`,
  });
  await Promise.all([openMetrics.count(2), plain.count(2)]);

  expect([...formats]).toEqual(["openmetrics"]);
  const up = await query(url, "up");
  expect(up.map(({ metric, value }) => [metric.job, value[1]]).sort()).toEqual([
    ["openmetrics", "1"],
    ["text", "1"],
  ]);
  for (const job of ["openmetrics", "text"]) {
    const open = await query(url, `dms_tasks_open{job="${job}"}`);
    expect(
      open.map(({ metric }) => [metric.project, metric.instance_id, metric.task_name, metric.status]),
    ).toContainEqual([hostile, hostile, expect.stringMatching(/^[A-Za-z0-9_.-]+$/), "EXECUTING"]);
    const [info] = await query(url, `dms_instance_info{job="${job}",project!="prod"}`);
    expect(info?.metric).toMatchObject({ instance_name: hostile, cloud_region: hostile });
    const [success] = await query(url, `dms_task_last_success_timestamp_seconds{job="${job}"}`);
    expect(Number(success?.value[1])).toBe((T0 - 4_000_000) / 1000);
  }
  // The same names in both, counters with _total and histograms with their parts.
  const names = async (job: string) =>
    (await query(url, `count by (__name__) ({job="${job}",__name__=~"(dms|taskwatch)_.+"})`))
      .map(({ metric, value }) => `${metric.__name__} ${value[1]}`)
      .sort();
  const found = await names("openmetrics");
  expect(found).toEqual(await names("text"));
  expect(found).toContain("dms_task_failures_total 2");
  expect(found).toContain("dms_task_duration_seconds_bucket 14");
});
