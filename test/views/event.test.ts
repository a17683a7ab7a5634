import { expect, test } from "vitest";
import { eventJson } from "../../src/views/event.ts";
import { event } from "../outbox/formats/samples.ts";

const PRIVACY = { task_params: true, user_names: true };

test("an event that version 1 stored is shown with every key of today, null where it told nothing", () => {
  const { body, id, type } = event();
  const now = JSON.parse(body);
  const { error_code, request_id, silence, diagnosis, ...data } = now.data;
  const { user_id, ...task } = data.task;
  const { status, ...instance } = data.instance;
  const stored = JSON.stringify({ ...now, data: { ...data, task, instance } });
  const shown = eventJson({ id, type, time: 0, body: stored }, PRIVACY);
  expect(shown.data).toEqual({
    ...now.data,
    error_code: null,
    request_id: null,
    silence: null,
    diagnosis: null,
    task: { ...task, user_id: null },
    instance: { ...instance, status: null },
  });
});
