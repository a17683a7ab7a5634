import { expect, onTestFinished, test } from "vitest";
import { polledAgain, sceneOf, shows } from "../app/scene.ts";
import { runInProcess } from "../support/cli.ts";
import { Folder } from "../support/daemon.ts";
import { freePort } from "../support/free-port.ts";
import { startReceiver } from "../support/receiver.ts";

const events = ["task.failed"];

test("dead letters of a webhook that was renamed are sent to another one, with their ids, bodies and sequence numbers", async () => {
  const [old, renamed, chat] = [await startReceiver(), await startReceiver(), await startReceiver()];
  for (const receiver of [old, renamed, chat]) onTestFinished(() => receiver.close());
  old.otherwise(400);
  const { config, clock, create, start } = await sceneOf({
    webhooks: [{ name: "old", url: old.url, events }],
  });
  const app = await start();
  await polledAgain(app);
  create({ id: "first", name: "restart", ends: "FAILED", runs_for: 0 });
  create({ id: "second", name: "resize", ends: "FAILED", runs_for: 0 });
  await shows(app, "taskwatch_webhook_dead_letters_total", { webhook: "old" }, 2);
  const next = {
    ...config,
    webhooks: [
      { name: "new", url: renamed.url, events },
      { name: "chat", format: "slack", url: chat.url, events },
      { name: "am", format: "alertmanager", urls: [`http://127.0.0.1:${await freePort()}`] },
    ],
  };
  await app.reload(next);
  clock.advance(6_000);
  await shows(app, "taskwatch_dead_letters", { webhook: "old" }, 2);

  await using folder = await Folder.create();
  const path = await folder.write("taskwatch.yaml", next);
  const replay = (...args: readonly string[]) =>
    runInProcess("dead-letters", "replay", ...args, "--config", path);
  expect(await replay("--to", "new")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--webhook NAME"),
  });
  expect(await replay("--webhook", "old", "--to", "gnu")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("no webhook is named gnu"),
  });
  expect(await replay("--webhook", "old", "--to", "am")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("takes no events"),
  });
  expect(await replay("--webhook", "other", "--to", "new")).toMatchObject({
    code: 0,
    stdout: "0 events put back for delivery to new\n",
  });

  const sent = old.requests.map(({ headers, body }) => ({ id: String(headers["webhook-id"]), body }));
  const [first, second] = ["first", "second"].map((id) => sent.find(({ body }) => body.includes(`"${id}"`)));
  expect(await replay(first?.id ?? "", "--to", "chat")).toEqual({
    code: 0,
    stdout: "1 event put back for delivery to chat\n",
    stderr: "",
  });
  expect((await chat.next()).body).toContain("restart");
  expect(await replay("--webhook", "old", "--to", "new")).toMatchObject({ code: 0, stderr: "" });
  const { headers, body } = await renamed.next();
  expect({ id: headers["webhook-id"], body }).toEqual(second);
  expect(chat.requests).toHaveLength(1);
  clock.advance(6_000);
  await shows(app, "taskwatch_dead_letters", { webhook: "old" }, undefined);
});
