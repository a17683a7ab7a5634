import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { Folder } from "../support/daemon.ts";
import { freePort } from "../support/free-port.ts";
import { LogLines } from "../support/log-lines.ts";
import { scrape } from "../support/scrape.ts";
import { watchConfig } from "../support/watch-config.ts";
import {
  allowedInBuild,
  buildEnv,
  buildImage,
  copiedFromProject,
  type Image,
  inside,
  isRoot,
} from "./dockerfile.ts";

/*
 * The image without Docker: the steps of the Dockerfile, read from it, in an empty folder outside any repository, and
 * what it starts, as the user that it names.
 */

let folder: string;
let image: Image;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "taskwatch-image-"));
  // The image's user must come through.
  chmodSync(folder, 0o755);
  image = buildImage(folder, { VERSION: "1.2.3", REVISION: "abc123" });
  if (!isRoot)
    for (const path of everything(join(image.root, "app"))) chmodSync(path, statSync(path).mode & ~0o222);
}, 300_000);

afterAll(() => {
  const app = join(image?.root ?? "/none", "app");
  if (!isRoot && existsSync(app))
    for (const path of [app, ...everything(app)]) chmodSync(path, statSync(path).mode | 0o200);
  rmSync(folder, { recursive: true, force: true });
});

const everything = (path: string): string[] =>
  readdirSync(path, { recursive: true, encoding: "utf8" }).map((name) => join(path, name));

const size = (path: string) =>
  everything(path).reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0);

/** What the image runs, as its user. */
function start(command: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  const [uid, gid] = image.user.split(":").map(Number);
  const [program = "", ...args] = command.map(inside(image.root));
  const placed = Object.entries({ ...image.env, ...env }).map(([name, value]) => [
    name,
    inside(image.root)(value),
  ]);
  // As the base image has it.
  const { PATH = "" } = buildEnv({});
  const child = spawn(program === "node" ? process.execPath : program, args, {
    cwd: join(image.root, image.workdir),
    env: { PATH, ...Object.fromEntries(placed) },
    stdio: ["ignore", "pipe", "pipe"],
    ...(isRoot && uid !== undefined && gid !== undefined ? { uid, gid } : {}),
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

async function ends(command: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const child = start(command, env);
  const said = new LogLines();
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => said.write(chunk));
  const [code] = await once(child, "close");
  return `${code} ${said.text.trim()}`;
}

test("the build needs nothing that .dockerignore keeps from it, and leaves what only development needs behind", () => {
  expect(copiedFromProject()).toContain("src");
  for (const source of copiedFromProject()) expect(allowedInBuild()).toContain(source);
  const modules = readdirSync(join(image.root, "app", "node_modules"));
  expect(modules).toEqual(expect.arrayContaining(["fastify", "ioredis", "pino", "undici", "zod"]));
  for (const dev of ["typescript", "vitest", "@biomejs", "pino-pretty"]) expect(modules).not.toContain(dev);
  // The image has its own Node.js.
  expect(modules.filter((name) => name.startsWith("node-linux-"))).toEqual([]);
  expect(readdirSync(join(image.root, "app")).sort()).toEqual([
    "LICENSE",
    "bin",
    "dist",
    "node_modules",
    "package.json",
  ]);
  expect(size(join(image.root, "app"))).toBeLessThan(60 * 2 ** 20);
});

test("it starts as a user without rights, keeps its state in the volume and nothing anywhere else, and stops clean", async () => {
  expect(image.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  expect(image.volumes).toEqual(["/data"]);
  expect(image.exposed).toEqual(["10464"]);
  await using config = await Folder.create();
  chmodSync(config.path, 0o755);
  await using simulator = await startSimulator({
    projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }] }],
  });
  const { store: _, server: __, ...watched } = watchConfig(simulator, null);
  const listen = `127.0.0.1:${await freePort()}`;
  const env = { TASKWATCH_CONFIG: await config.write("taskwatch.yaml", watched), TASKWATCH_LISTEN: listen };
  const before = everything(join(image.root, "app")).sort();

  const daemon = start(image.command, env);
  const log = new LogLines();
  daemon.stdout?.on("data", (chunk: Buffer) => log.write(chunk));
  daemon.stderr?.on("data", (chunk: Buffer) => log.write(chunk));
  await log.until("shards held");
  await expect
    .poll(async () => (await fetch(`http://${listen}/readyz`)).status, { timeout: 20_000 })
    .toBe(200);
  expect(await ends(image.healthcheck, env)).toBe("0 ");
  await expect
    .poll(
      async () => (await scrape(`http://${listen}`)).value("dms_instance_up", { instance_name: "orders" }),
      { timeout: 20_000 },
    )
    .toBe(1);
  expect((await scrape(`http://${listen}`)).series("taskwatch_build_info")).toMatchObject([
    { labels: { revision: "abc123" } },
  ]);
  // What is read from files beside the program is in the image too.
  const page = await (await fetch(`http://${listen}/`)).text();
  const assets = [...page.matchAll(/(?:href|src)="([^"#]+\.(?:css|js|svg))"/g)].map(([, path = ""]) => path);
  expect(assets).toHaveLength(3);
  for (const path of [...assets, "api/v1/status"])
    expect((await fetch(new URL(path, `http://${listen}/`))).status, path).toBe(200);

  const closed = once(daemon, "close");
  daemon.kill("SIGTERM");
  expect(await closed).toEqual([0, null]);
  expect(await ends(image.healthcheck, env)).toBe("1 ");
  expect(everything(join(image.root, "app")).sort()).toEqual(before);
  expect(readdirSync(join(image.root, "data"))).toContain("taskwatch.db");
  expect(readdirSync(image.root).sort()).toEqual(["app", "data", "usr"]);
});

test("every command is in it, and a mistake is told in words", async () => {
  const entrypoint = image.command.slice(0, -1);
  expect(await ends([...entrypoint, "--version"])).toMatch(/^0 \d+\.\d+\.\d+$/);
  expect(await ends([...entrypoint, "check"])).toMatch(/^2 .*HUAWEICLOUD_SDK_AK/s);
  expect(await ends([...entrypoint, "simulate", "--listen", "nowhere"])).toMatch(/^2 .*allowed/s);
  // By its name, as the runbook says.
  expect(await ends(["/usr/local/bin/dms-taskwatch", "--version"])).toMatch(/^0 \d+\.\d+\.\d+$/);
  // With the environment alone, as `docker run -e …` gives it.
  const env = { HUAWEICLOUD_SDK_AK: "AK", HUAWEICLOUD_SDK_SK: "SK", TASKWATCH_REGION: "eu-west-101" };
  expect(await ends([...entrypoint, "check"], env)).toMatch(/^0 .*sqlite:.*\/data\/taskwatch\.db/s);
});
