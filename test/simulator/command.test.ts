import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runSimulator, type SimulateArguments } from "../../src/simulator/command.ts";

/** Runs the command until it has said everything, hands its lines and its url to `look`, and ends it. */
async function simulate(
  args: SimulateArguments,
  look: (url: string, lines: readonly string[]) => Promise<void>,
): Promise<void> {
  const lines: string[] = [];
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  const stdout = (line: string): void => {
    lines.push(line);
    if (line.startsWith("control:")) ready.resolve();
  };
  const run = runSimulator(args, { stdout, signal: stop.signal });
  await Promise.race([ready.promise, run]);
  try {
    await look(/http:\/\/\S+/.exec(lines[0] ?? "")?.[0] ?? "", lines);
  } finally {
    stop.abort();
    await run;
  }
}

interface State {
  readonly projects: readonly {
    readonly instances: readonly { readonly name: string; readonly tasks: number }[];
  }[];
}

async function stateOf(url: string): Promise<State> {
  return (await (await fetch(`${url}/_control/state`)).json()) as State;
}

test("without arguments it plays the demo, and says how to call it", async () => {
  await simulate({ listen: "127.0.0.1:0" }, async (url, lines) => {
    expect(lines[1]).toMatch(/^project [0-9a-f]{32}, region eu-west-101, 3 instances$/);
    expect(lines[2]).toMatch(/^access key \w+, secret key \w+$/);
    const { projects } = await stateOf(url);
    expect(projects[0]?.instances.map(({ name }) => name)).toEqual(["orders", "billing", "telemetry"]);
  });
});

test("it makes as many instances as asked for", async () => {
  await simulate({ listen: "0", instances: 20, tasks: 3, rate: 5 }, async (url) => {
    const { projects } = await stateOf(url);
    expect(projects[0]?.instances).toHaveLength(20);
  });
});

test("it plays a scenario file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "scenario-"));
  const file = join(folder, "scenario.yaml");
  try {
    await writeFile(
      file,
      "projects: [{ instances: [{ name: mine }] }]\nsteps: [{ instance: mine, task: {} }]\n",
    );
    await simulate({ listen: "0", scenario: file }, async (url, lines) => {
      expect((await stateOf(url)).projects[0]?.instances).toMatchObject([{ name: "mine", tasks: 1 }]);
      expect(lines.join("\n")).not.toContain("secret key");
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a scenario that is not there is said, with what is allowed", async () => {
  const io = { stdout: () => {}, signal: new AbortController().signal };
  await expect(runSimulator({ listen: "0", scenario: "/nowhere/s.yaml" }, io)).rejects.toThrow(
    "scenario: /nowhere/s.yaml: there is no such file; allowed: a scenario in YAML or JSON",
  );
});

test("a step that fails later is told", async () => {
  const folder = await mkdtemp(join(tmpdir(), "scenario-"));
  const file = join(folder, "scenario.yaml");
  const said = Promise.withResolvers<string>();
  const stop = new AbortController();
  try {
    await writeFile(file, "steps: [{ at: +1ms, instance: nowhere, task: {} }]\n");
    const stdout = (line: string): void => (line.startsWith("a step") ? said.resolve(line) : undefined);
    const run = runSimulator({ listen: "0", scenario: file }, { stdout, signal: stop.signal });
    expect(await said.promise).toBe('a step could not be done: unknown instance "nowhere"');
    stop.abort();
    await run;
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("wrong arguments are refused with a sentence", async () => {
  const io = { stdout: () => {}, signal: AbortSignal.abort() };
  await expect(runSimulator({ listen: "here" }, io)).rejects.toThrow(
    'listen: not an address: "here"; allowed:',
  );
  await expect(runSimulator({ listen: "0", scenario: "a", instances: 1 }, io)).rejects.toThrow("not both");
});
