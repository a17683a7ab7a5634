import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { PROGRAM, programEnv, runCli, runInProcess } from "../support/cli.ts";
import { Folder } from "../support/daemon.ts";

const COMMANDS = [
  ["run"],
  ["check"],
  ["poll"],
  ["tasks"],
  ["explain"],
  ["ack"],
  ["webhook"],
  ["webhook", "test"],
  ["webhook", "enable"],
  ["dead-letters"],
  ["dead-letters", "list"],
  ["dead-letters", "replay"],
  ["dead-letters", "drop"],
  ["simulate"],
];

describe("help and version", () => {
  test("the program tells of all its commands and of the exit codes", async () => {
    const { code, stdout, stderr } = await runCli(["--help"]);
    expect(code).toBe(0);
    expect(stderr).toBe("");
    for (const [command] of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command}\\b`, "m"));
    expect(stdout).toContain("Exit codes:");
  });

  test.each(COMMANDS.map((words) => [words.join(" "), words] as const))("%s has both", async (_, words) => {
    const help = await runInProcess(...words, "--help");
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout).toContain(`Usage: dms-taskwatch ${words.join(" ")}`);
    expect(help.stdout).toContain("--config <file>");
    const version = await runInProcess(...words, "--version");
    expect(version).toMatchObject({
      code: 0,
      stderr: "",
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });
});

describe("a mistake on the command line is told on standard error, with exit code 2", () => {
  test.each([
    ["an unknown command", ["chek"], /unknown command "chek"; did you mean check\?/],
    ["an unknown command like none", ["zzzzzz"], /unknown command "zzzzzz"; allowed: run, check, poll/],
    ["an unknown option", ["--confg", "x"], /unknown option '--confg'\n\(Did you mean --config\?\)/],
    ["an unknown option of a command", ["tasks", "--jsn"], /unknown option '--jsn'/],
    ["a command of commands alone", ["webhook"], /Usage: dms-taskwatch webhook/],
    ["no task id", ["explain"], /missing required argument 'task-id'/],
    ["an argument too many", ["tasks", "now"], /too many arguments/],
    [
      "a state that there is not",
      ["tasks", "--state", "red"],
      /Allowed choices are open, stuck, failed, all/,
    ],
    [
      "a time that is none",
      ["poll", "--from", "yesterday"],
      /Allowed: 2026-11-24T10:00:00Z or 20261124100000/,
    ],
    ["a day that is none", ["poll", "--to", "20260230000000"], /Allowed: 2026-11-24T10:00:00Z/],
    ["the 29th of February of a common year", ["poll", "--from", "2026-02-29"], /Allowed: 2026-11-24T10/],
    ["an hour that is none", ["poll", "--from", "2026-11-24T24:00:00Z"], /no such date or time of day/],
    ["nothing to acknowledge", ["ack"], /give a task id, or --all/],
    ["both ways to acknowledge", ["ack", "8abf", "--all"], /not both/],
    ["all of everything by accident", ["ack", "--all"], /say of which --instance/],
    ["everything dropped by accident", ["dead-letters", "drop"], /give ids, or --all/],
    ["an address that is none", ["simulate", "--listen", "nowhere"], /allowed: 127\.0\.0\.1:18080/],
    ["a number that is none", ["simulate", "--instances", "many"], /Allowed: a whole number, 1 or more/],
    ["a scenario that is not there", ["simulate", "--scenario", "/none.yaml"], /\/none\.yaml/],
  ])("%s", async (_, args, message) => {
    const { code, stdout, stderr } = await runInProcess(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test("control characters of an argument do not reach the terminal", async () => {
    const { stderr } = await runInProcess("\u001b[31mred");
    expect(stderr).not.toContain("\u001b");
  });
});

describe("--config", () => {
  test("is taken before and after the command", async () => {
    for (const args of [
      ["--config", "/none.yaml", "check"],
      ["check", "--config", "/none.yaml"],
      ["--config", "/none.yaml"],
    ]) {
      const { code, stderr } = await runInProcess(...args);
      expect(code).toBe(2);
      expect(stderr).toContain("/none.yaml");
    }
  });

  test("without a file the environment is enough, and what is missing is named", async () => {
    await using folder = await Folder.create();
    const { code, stderr } = await runCli(["check"], { cwd: folder.path, env: { HUAWEICLOUD_SDK_AK: "AK" } });
    expect(code).toBe(2);
    expect(stderr).toContain("HUAWEICLOUD_SDK_SK");
    expect(stderr).toContain("TASKWATCH_REGION");
    expect(stderr).not.toContain("    at ");
  });
});

test("a reader that leaves early is no error", async () => {
  const child = spawn(process.execPath, [PROGRAM, "--help"], {
    stdio: ["ignore", "pipe", "pipe"],
    env: programEnv(),
  });
  child.stdout.destroy();
  const errors: Buffer[] = [];
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
  const [code] = await once(child, "close");
  expect({ code, stderr: Buffer.concat(errors).toString() }).toEqual({ code: 0, stderr: "" });
});
