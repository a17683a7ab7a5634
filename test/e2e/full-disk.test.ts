import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { canMount, useScratch } from "../store/scratch.ts";
import { RunningApp } from "../support/running-app.ts";
import { watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

vi.setConfig({ testTimeout: 90_000 });

const scratch = useScratch();

/** Takes all that is free. */
function fill(disk: string): () => void {
  const fillers: string[] = [];
  for (let size = 2 ** 20; size >= 512; ) {
    const { bavail, bsize } = statfsSync(disk);
    if (bavail * bsize < size) {
      size /= 2;
      continue;
    }
    const filler = join(disk, `filler-${fillers.length}`);
    writeFileSync(filler, Buffer.alloc(size));
    fillers.push(filler);
  }
  return () => {
    for (const filler of fillers) rmSync(filler);
  };
}

test.runIf(canMount)(
  "a full disk is one outage, said once, until something can be written again; then what happened is told",
  async () => {
    const disk = scratch.disk(2_048);
    await using simulator = await startSimulator({
      projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }, { name: "billing" }] }],
    });
    await using inbox = await Inbox.start();
    const store = { url: `sqlite:${join(disk, "taskwatch.db")}` };
    await using app = await RunningApp.start(watchConfig(simulator, inbox, { store }));
    const polls = (name: string) =>
      app.log.lines.filter(({ component, instance_name: of }) => component === "poll" && of === name).length;
    const said = (text: string) => app.log.lines.filter(({ msg }) => msg === text).length;
    const outages = () => [said("store does not answer"), said("store answers again")];
    await app.log.until(() => polls("orders") > 0 && polls("billing") > 0);

    const free = fill(disk);
    const task = simulator.control.createTask(
      { instance: "orders" },
      { name: "resize", runs_for: "1ms", ends: "FAILED" },
    );
    await app.log.until(() => said("store does not answer") > 0);
    // Long enough for the times of the polls to be flushed, and for the task to be tried many times.
    const before = polls("billing");
    await app.log.until(() => polls("billing") >= before + 15);
    expect(outages()).toEqual([1, 0]);
    expect((await app.scrape()).value("taskwatch_store_up", {})).toBe(0);
    expect((await fetch(`${app.url}/readyz`)).status).toBe(503);

    free();
    const { data } = await inbox.event("task.failed");
    expect(data.task?.id).toBe(task.task);
    await app.log.until(() => said("store answers again") > 0);
    expect((await fetch(`${app.url}/readyz`)).status).toBe(200);
    expect(outages()).toEqual([1, 1]);
  },
);
