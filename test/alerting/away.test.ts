import { expect, onTestFinished, test, vi } from "vitest";
import { polledAgain, sceneOf, shows } from "../app/scene.ts";
import { freePort } from "../support/free-port.ts";
import { startReceiver } from "../support/receiver.ts";

const MINUTE = 60_000;
/** After it everything was counted anew. */
const COUNTED = 6_000;
const OLDEST = "taskwatch_webhook_oldest_pending_timestamp_seconds";
const PENDING = "taskwatch_webhook_pending";
const AM = { webhook: "am" };

vi.setConfig({ testTimeout: 60_000 });

test("changes that no Alertmanager takes are shown as waiting since they happened, through a restart, until one takes them", async () => {
  const [one, two] = [await freePort(), await freePort()];
  const urls = [one, two].map((port) => `http://127.0.0.1:${port}`);
  const all = await sceneOf({ webhooks: [{ name: "am", format: "alertmanager", urls }] });
  const { clock, create } = all;
  const first = await all.start();
  await polledAgain(first);
  await shows(first, PENDING, AM, 0);
  const began = clock.now();
  create({ id: "f", name: "modifyAutoTopic", ends: "FAILED", runs_for: 0 });
  await shows(first, "dms_task_failures_open", { task_name: "modifyAutoTopic" }, 1);
  clock.advance(COUNTED);
  await shows(first, PENDING, AM, 1);
  const oldest = (await first.scrape()).value(OLDEST, AM) ?? 0;
  expect(oldest * 1000).toBeGreaterThanOrEqual(began);
  expect(oldest * 1000).toBeLessThan(clock.now());
  const listed = await (await fetch(`${first.url}/api/v1/webhooks`)).json();
  const since = new Date(oldest * 1000).toISOString();
  expect(listed).toMatchObject({ webhooks: [{ name: "am", pending: 1, oldest_pending_at: since }] });
  const page = await (await fetch(`${first.url}/`)).text();
  expect(page).toMatch(new RegExp(`am[\\s\\S]+oldest[\\s\\S]+${since}`));

  // It is over, and still nobody knows that it was: also when its end need not be told any more.
  create({ name: "modifyAutoTopic", status: "SUCCESS" });
  await shows(first, "dms_task_failures_open", { task_name: "modifyAutoTopic" }, 0);
  for (let minutes = 0; minutes < 25; minutes += 5) {
    clock.advance(5 * MINUTE);
    await polledAgain(first);
  }
  await shows(first, OLDEST, AM, oldest);
  const later = create({ id: "g", name: "resizeInstance", ends: "FAILED", runs_for: 0 });
  await shows(first, "dms_task_failures_open", { task_name: "resizeInstance" }, 1);
  clock.advance(COUNTED);
  await shows(first, PENDING, AM, 2);

  // A daemon that starts while they are away knows what lasts, from its beginning.
  await first.stop();
  const second = await all.start();
  await shows(second, PENDING, AM, 1);
  const { tasks } = (await (await fetch(`${second.url}/api/v1/tasks?state=failed`)).json()) as {
    tasks: { task: { id: string }; failed_since: string }[];
  };
  const [failed] = tasks.filter(({ task }) => task.id === later);
  await shows(second, OLDEST, AM, Date.parse(failed?.failed_since ?? "") / 1000);

  const receiver = await startReceiver({ port: two });
  onTestFinished(() => receiver.close());
  receiver.otherwise(200);
  clock.advance(MINUTE);
  await shows(second, PENDING, AM, 0);
  await shows(second, OLDEST, AM, undefined);

  // An alert that was taken must be posted again and again, or Alertmanager ends it.
  receiver.otherwise(503);
  const refused = clock.now();
  for (let minutes = 0; minutes < 4; minutes++) {
    clock.advance(MINUTE + 1);
    await polledAgain(second);
  }
  await shows(second, PENDING, AM, 1);
  const overdue = ((await second.scrape()).value(OLDEST, AM) ?? 0) * 1000;
  expect(overdue).toBeLessThan(refused + 2 * MINUTE);
  expect(overdue).toBeGreaterThan(refused - 2 * MINUTE);
});
