import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { demoScenario } from "../../src/simulator/demo.ts";
import { startSimulator } from "../../src/simulator/server.ts";
import { runCli } from "../support/cli.ts";
import { Daemon } from "../support/daemon.ts";
import { RedisServer } from "../support/redis.ts";
import { envExample, readCompose } from "./compose.ts";
import { ROOT, stagesOf } from "./dockerfile.ts";

vi.setConfig({ testTimeout: 60_000 });

const OWN = /^\.\/([^:]+):([^:]+)(?::ro)?$/;
const compose = readCompose();
const services = Object.entries(compose.services);
const { taskwatch, simulator, redis } = compose.services as Record<
  "taskwatch" | "simulator" | "redis",
  (typeof services)[0][1]
>;
/** The file that is mounted where the daemon is told to look. */
const CONFIG = "config/taskwatch.compose.yaml";

describe("docker-compose.yml", () => {
  test("mounts files that exist, read-only, and volumes that it declares", () => {
    for (const [name, { volumes = [] }] of services) {
      for (const volume of volumes) {
        const own = OWN.exec(volume);
        if (own) {
          expect(existsSync(join(ROOT, own[1] ?? "")), `${name}: ${volume}`).toBe(true);
          expect(volume, `${name}: what the project ships is not to be written`).toMatch(/:ro$/);
        } else expect(Object.keys(compose.volumes), `${name}: ${volume}`).toContain(volume.split(":")[0]);
      }
    }
  });

  test("gives every service no more rights than it needs, and opens ports to this machine alone", () => {
    for (const [name, service] of services) {
      expect(service, name).toMatchObject({
        read_only: true,
        cap_drop: ["ALL"],
        security_opt: ["no-new-privileges:true"],
      });
      for (const port of service.ports ?? []) expect(port, name).toMatch(/^127\.0\.0\.1:/);
      expect(service.image, `${name} has a tag, or is built here`).toMatch(/:.+|^dms-taskwatch$/);
    }
  });

  test("tells the daemon where its configuration is mounted, and uses the ports that the image has", () => {
    const config = taskwatch.command?.at(-1);
    expect(taskwatch.command).toEqual(["run", "--config", config]);
    expect(taskwatch.volumes).toEqual([`./${CONFIG}:${config}:ro`]);
    const exposed = stagesOf()
      .at(-1)
      ?.instructions.find(({ name }) => name === "EXPOSE")?.text;
    expect(taskwatch.ports?.[0]).toMatch(new RegExp(`:${exposed}$`));
    expect(taskwatch.deploy).toEqual({ replicas: 2 });
    expect(taskwatch.environment?.TASKWATCH_STORE_URL).toBe("redis://redis:6379");
    // The same image is built for both: compose would look for one without `build` in a registry.
    expect([taskwatch.image, taskwatch.build]).toEqual([simulator.image, simulator.build]);
    const [, port] = /:(\d+)$/.exec(simulator.command?.at(-1) ?? "") ?? [];
    expect(simulator.profiles).toEqual(["demo"]);
    expect(taskwatch.environment?.TASKWATCH_ENDPOINT).toBe(`http://simulator:${port}`);
    expect(simulator.expose).toEqual([port]);
  });

  test("on the real cloud the .env file's variables are all used, and the region gives the endpoints", async () => {
    const variables = {
      ...envExample(),
      HUAWEICLOUD_SDK_AK: "AK",
      HUAWEICLOUD_SDK_SK: "SK",
      TASKWATCH_REGION: "cn-north-4",
    };
    const env = readCompose(variables).services.taskwatch?.environment ?? {};
    for (const [name, value] of Object.entries(variables)) expect(env[name], name).toBe(value);
    const { code, stdout, stderr } = await runCli(["check", "--config", CONFIG], { cwd: ROOT, env });
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("https://dms.cn-north-4.myhuaweicloud.com");
    expect(stdout).toContain("https://iam.cn-north-4.myhuaweicloud.com");
    // An .env file that was copied and not filled in is told as such.
    const empty = readCompose(envExample()).services.taskwatch?.environment ?? {};
    const told = await runCli(["check", "--config", CONFIG], { cwd: ROOT, env: empty });
    expect(told.code).toBe(2);
    expect(told.stderr).toMatch(
      /taskwatch\.compose\.yaml:\d+:\d+: projects\[0\]\.credentials\.access_key: found an empty text/,
    );
  });
});

test("--profile demo: two replicas on Redis share three instances and show what succeeds, fails and hangs", async () => {
  await using server = await RedisServer.start();
  await using cloud = await startSimulator(demoScenario());
  const named: Record<string, string> = {
    "redis://redis:6379": server.url,
    "http://simulator:10465": cloud.url,
  };
  const env = {
    ...Object.fromEntries(
      Object.entries(taskwatch.environment ?? {}).map(([name, value]) => [name, named[value] ?? value]),
    ),
    // Each container has its own address.
    TASKWATCH_LISTEN: "127.0.0.1:0",
  };
  expect(redis.command?.slice(0, 1)).toEqual(["redis-server"]);
  await using one = await Daemon.start(join(ROOT, CONFIG), env);
  await using two = await Daemon.start(join(ROOT, CONFIG), env);
  const both = async (name: string, labels: Record<string, string> = {}) =>
    (await Promise.all([one.scrape(), two.scrape()])).map((scrape) => scrape.sum(name, labels));
  const shows = (name: string, labels: Record<string, string>, wanted: number) =>
    expect
      .poll(async () => (await both(name, labels)).reduce((sum, each) => sum + each), {
        timeout: 45_000,
        interval: 300,
      })
      .toBe(wanted);
  await expect.poll(() => both("taskwatch_shards_owned"), { timeout: 20_000 }).toEqual([8, 8]);
  await shows("dms_instance_up", {}, 3);
  await shows("dms_tasks_stuck", { task_name: "restartInstance" }, 1);
  cloud.control.advance("30s");
  await shows("dms_task_failures_open", { task_name: "changeRetentionPolicy" }, 1);
  expect(
    (await both("dms_task_transitions_total", { status: "SUCCESS" })).reduce((a, b) => a + b),
  ).toBeGreaterThan(0);
});
