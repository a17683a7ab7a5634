import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ERROR_SHAPES } from "../../src/simulator/answers.ts";
import { faultRule } from "../../src/simulator/fault-rules.ts";
import { MALFORMED } from "../../src/simulator/malformed.ts";
import { parseScenario } from "../../src/simulator/scenario.ts";
import { startSimulator } from "../../src/simulator/server.ts";
import { step } from "../../src/simulator/step.ts";

const docs = readFileSync(new URL("../../docs/simulator.md", import.meta.url), "utf8");

test("the documented scenario is valid, and shows the defaults", async () => {
  const text = /```yaml\n(.*?)```/s.exec(docs)?.[1] ?? "";
  const scenario = parseScenario(text, "docs/simulator.md");
  await using documented = await startSimulator(scenario);
  await using plain = await startSimulator();
  expect(documented.control.projects()[0]).toMatchObject({
    ...plain.control.projects()[0],
    instances: [{ name: "orders", tasks: 1 }],
  });
});

test("the documented calls of the control API work", async () => {
  await using simulator = await startSimulator({ projects: [{ instances: [{ name: "orders" }] }] });
  const calls = [...docs.matchAll(/curl -s http:\/\/127\.0\.0\.1:18080(\S+) -d '(.*)'/g)];
  expect(calls).toHaveLength(2);
  for (const [, path, body] of calls) {
    const response = await fetch(`${simulator.url}${path}`, { method: "POST", body: body ?? "" });
    expect(response.status).toBe(200);
  }
  expect(simulator.control.tasks({ instance: "orders" })).toMatchObject([{ status: "FAILED" }]);
});

test("every step, fault, shape and variant is documented", () => {
  const steps = Object.keys(step.shape);
  const kinds = faultRule.options.map((option) => option.shape.kind.value);
  const words = [...steps, ...kinds, ...ERROR_SHAPES, ...MALFORMED];
  expect(words.filter((word) => !new RegExp(`\\b${word}\\b`).test(docs))).toEqual([]);
});
