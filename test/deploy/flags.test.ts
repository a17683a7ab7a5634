import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { parse } from "yaml";
import { ROOT, stagesOf } from "./dockerfile.ts";

/*
 * The flags of Node.js and the variables that the program runs with stand in the first line of bin/dms-taskwatch.js,
 * and nowhere else: everything that starts it runs that file.
 */

const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const [, VARIABLES = "", FLAGS = ""] =
  /^#!\/usr\/bin\/env -S (\S+=\S+(?: \S+=\S+)*) node (.*)\n/.exec(read("bin/dms-taskwatch.js")) ?? [];
const flags = FLAGS.split(" ");
const ended: (() => void)[] = [];
afterEach(() => {
  for (const end of ended.splice(0)) end();
});

test("the image runs the file whose first line has the flags, and sets none of them elsewhere", () => {
  const instructions = stagesOf().at(-1)?.instructions ?? [];
  const entrypoint = instructions.find(({ name }) => name === "ENTRYPOINT");
  expect(entrypoint?.text).toBe('["/app/bin/dms-taskwatch.js"]');
  for (const file of [
    "Dockerfile",
    "package.json",
    "docker-compose.yml",
    "deploy/kubernetes/deployment.yaml",
  ]) {
    const text = read(file);
    for (const flag of [...flags, ...VARIABLES.split(" "), "NODE_OPTIONS"]) {
      expect(text, file).not.toContain(flag.split("=")[0]);
    }
  }
});

test("Compose and Kubernetes start the image as it is", () => {
  interface Service {
    readonly image?: string;
    readonly entrypoint?: unknown;
  }
  const compose = parse(read("docker-compose.yml"), { merge: true }) as {
    readonly services: Readonly<Record<string, Service>>;
  };
  const ours = Object.values(compose.services).filter(({ image }) => image === "dms-taskwatch");
  expect(ours.length).toBeGreaterThan(1);
  for (const service of ours) expect(service.entrypoint).toBeUndefined();
  interface Deployment {
    readonly spec: { readonly template: { readonly spec: { readonly containers: readonly object[] } } };
  }
  const deployment = parse(read("deploy/kubernetes/deployment.yaml")) as Deployment;
  for (const container of deployment.spec.template.spec.containers)
    expect(container).not.toHaveProperty("command");
});

const { start } = (JSON.parse(read("package.json")) as { readonly scripts: { readonly start: string } })
  .scripts;

test.each([
  ["npm start", "sh", ["-c", `${start} simulate --listen 127.0.0.1:0`]],
  ["the file", join(ROOT, "bin/dms-taskwatch.js"), ["simulate", "--listen", "127.0.0.1:0"]],
])("%s is one process, with the flags and the variables", async (_, command, args) => {
  const child = spawn(command, args, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  ended.push(() => child.kill("SIGKILL"));
  await once(createInterface(child.stdout), "line");
  const given = readFileSync(`/proc/${child.pid}/cmdline`, "utf8").split("\0");
  expect(given.slice(1, 1 + flags.length)).toEqual(flags);
  expect(readFileSync(`/proc/${child.pid}/environ`, "utf8").split("\0")).toEqual(
    expect.arrayContaining(VARIABLES.split(" ")),
  );
});

test("a Node.js that is too old starts the bundled one with the same flags and variables", async () => {
  const folder = mkdtempSync(join(tmpdir(), "taskwatch-flags-"));
  ended.push(() => rmSync(folder, { recursive: true }));
  const bundled = join(folder, `node_modules/node-linux-${process.arch}/bin`);
  mkdirSync(bundled, { recursive: true });
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(bundled, "node"), '#!/bin/sh\nenv\necho "$@"\n', { mode: 0o755 });
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  // Every Node.js is too old for a program that needs one of the future.
  const program = join(folder, "bin/dms-taskwatch.js");
  writeFileSync(
    program,
    read("bin/dms-taskwatch.js").replace(/const NEEDED = .*/, "const NEEDED = [9999, 0];"),
  );
  const { MALLOC_ARENA_MAX: _, ...env } = process.env;
  const child = spawn(process.execPath, [program, "--version"], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = (await text(child.stdout)).trim().split("\n");
  expect(lines).toEqual(expect.arrayContaining(VARIABLES.split(" ")));
  expect(lines.at(-1)).toBe(`${FLAGS} ${program} --version`);
});
