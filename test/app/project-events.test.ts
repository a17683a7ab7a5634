import { expect, onTestFinished, test } from "vitest";
import { Letters } from "./letters.ts";
import { polledAgain, sceneOf } from "./scene.ts";

test("a receiver of one instance is told that its project cannot be read, a receiver of another project is not", async () => {
  const { clock, control, inbox, start } = await sceneOf();
  const other = await Letters.start();
  onTestFinished(() => other[Symbol.asyncDispose]());
  const events = ["task.failed", "instance.unreachable", "project.unreachable"];
  const app = await start({
    webhooks: [
      {
        name: "one",
        url: inbox.url,
        events,
        match: { project: "prod", region: "eu-*", instance: "orders", engine: "kafka", task: "restart*" },
      },
      { name: "other", url: other.url, events, match: { project: "test", instance: "orders" } },
    ],
  });
  await polledAgain(app);
  const [key] = control.keys();
  control.revokeKey(key?.access_key ?? "");
  clock.advance(2_000);
  const down = await inbox.event("project.unreachable");
  expect(down.data).toMatchObject({ cause: "credentials_rejected", instance: null });
  expect(inbox.ofType("instance.unreachable")).toEqual([]);
  await app.stop();
  expect(other.ofType("project.unreachable")).toEqual([]);
});
