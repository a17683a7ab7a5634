import { expect, test } from "vitest";
import { sceneOf } from "./scene.ts";

const MINUTE = 60_000;
const JSON_OF = async (url: string) => (await fetch(url)).json() as Promise<Record<string, unknown>>;

test("events and the API name the error code and the request id of the answer for which an instance is unreachable", async () => {
  const { clock, control, inbox, start, calls } = await sceneOf();
  const fault = control.addFault({
    kind: "error",
    operation: "list_tasks",
    instance: "orders",
    status: 500,
    code: "DMS.00500001",
  });
  const app = await start();
  for (let polls = 0; polls < 4; polls++) {
    const before = calls("list_tasks");
    clock.advance(MINUTE);
    await expect.poll(() => calls("list_tasks"), { timeout: 10_000 }).toBeGreaterThan(before);
  }
  const down = await inbox.event("instance.unreachable");
  const told = { error_code: "DMS.00500001", request_id: expect.stringMatching(/^[0-9a-f]{32}$/) };
  expect(down.data).toMatchObject({ cause: "server_error", ...told });
  const { instances } = await JSON_OF(`${app.url}/api/v1/instances?instance=orders`);
  const { request_id } = down.data;
  expect(instances).toMatchObject([{ unreachable: { cause: "server_error", ...told, request_id } }]);
  control.clearFaults(fault);
  clock.advance(MINUTE);
  const up = await inbox.event("instance.reachable");
  expect(up.data).toMatchObject({ cause: "server_error", ...told, request_id });
});

test("a project whose credentials were refused names the refusal's code and request id, through a restart too", async () => {
  const { clock, control, inbox, start } = await sceneOf();
  const first = await start();
  const [key] = control.keys();
  control.revokeKey(key?.access_key ?? "");
  clock.advance(2_000);
  const down = await inbox.event("project.unreachable");
  const told = { error_code: "APIGW.0301", request_id: expect.stringMatching(/^[0-9a-f]{32}$/) };
  expect(down.data).toMatchObject({ cause: "credentials_rejected", ...told });
  await first.stop();
  const { request_id } = down.data;
  const again = await start();
  await expect
    .poll(async () => (await JSON_OF(`${again.url}/api/v1/status`)).projects, { timeout: 10_000 })
    .toMatchObject([{ unreachable: { cause: "credentials_rejected", ...told, request_id } }]);
});
