import { readdir } from "node:fs/promises";
import { createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { Demo } from "../support/demo.ts";

test("within 40 seconds the demo shows tasks that succeed, one that fails and one that hangs; Ctrl-C leaves nothing", {
  timeout: 60_000,
}, async () => {
  await using demo = await Demo.start();
  const promise = [
    /instances discovered/,
    /task transition .*\(status EXECUTING -> SUCCESS\)/,
    /task stuck +billing \/ restartInstance/,
    /task failed +orders \/ changeRetentionPolicy +\(status EXECUTING -> FAILED\)/,
    /webhook received, signature good: task\.stuck +billing \/ restartInstance/,
    /webhook received, signature good: task\.failed +orders \/ changeRetentionPolicy/,
  ];
  const started = performance.now();
  await Promise.all(promise.map((line) => demo.says(line)));
  expect(performance.now() - started).toBeLessThan(40_000);

  const metrics = await demo.scrape();
  expect(metrics.sum("dms_instance_info")).toBe(3);
  expect(metrics.sum("dms_task_transitions_total", { status: "SUCCESS" })).toBeGreaterThan(0);
  expect(metrics.value("dms_task_failures_open", { task_name: "changeRetentionPolicy" })).toBe(1);
  expect(metrics.value("dms_tasks_stuck", { task_name: "restartInstance" })).toBe(1);
  await expect
    .poll(async () => (await demo.scrape()).value("taskwatch_webhook_delivered_total", { webhook: "demo" }))
    .toBeGreaterThanOrEqual(2);

  const url = await demo.url();
  const page = await (await fetch(`${url}/`)).text();
  const part = (id: string) => page.slice(page.indexOf(`<section id="${id}"`)).split("</section>")[0];
  expect(part("failing")).toContain("changeRetentionPolicy");
  expect(part("stuck")).toContain("restartInstance");
  expect(part("events")).toContain("task.succeeded");
  expect(part("day")).toContain("changeRetentionPolicy: failed");
  // What it says to look at is there.
  for (const [, link = ""] of demo.output.matchAll(/^ {4}\w[\w ]+? {2,}(http\S+)$/gm))
    expect((await fetch(link)).status, link).toBe(200);
  // What the daemon logs is one line each, in words.
  expect(demo.output).not.toMatch(/^ {4}\w+: /m);
  expect(demo.output).not.toMatch(/ (WARN(?!: task (failed|stuck))|ERROR|FATAL)|webhook refused/);

  await endsWell(demo);
  await expect(fetch(url)).rejects.toThrow();
});

test("a taken port is said, and the demo goes on with a free one", { timeout: 60_000 }, async () => {
  const other = createServer();
  // Held by somebody else already: that is as good.
  await new Promise<void>((resolve) => other.once("error", resolve).listen(10464, "127.0.0.1", resolve));
  onTestFinished(() => void other.close());
  await using demo = await Demo.start();
  await demo.says(/Port 10464 is taken/);
  expect(await demo.url()).not.toContain(":10464");
  expect((await demo.scrape()).value("taskwatch_build_info")).toBe(1);
  await endsWell(demo);
});

async function endsWell(demo: Demo): Promise<void> {
  // npm tells of the shell in between, if there is one, which Ctrl-C ends.
  expect([0, "SIGINT"]).toContain(await demo.interrupt());
  expect(demo.output).toMatch(/Ended; nothing is left behind\.\n$/);
  const left = await readdir(demo.folder.path);
  // npm keeps its own compiled code in the folder for temporary files.
  expect(left.filter((name) => name !== "node-compile-cache")).toEqual([]);
}
