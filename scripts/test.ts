import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The real servers and tools that the tests run against: program, and the Debian package that brings it. */
const NEEDED = {
  "redis-server": "redis-server",
  prometheus: "prometheus",
  promtool: "prometheus",
  "prometheus-alertmanager": "prometheus-alertmanager",
  amtool: "prometheus-alertmanager",
  openssl: "openssl",
  faketime: "faketime",
  chromium: "chromium",
} as const;

// Debian puts some servers where only root looks.
const path = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
const missing = () =>
  Object.entries(NEEDED).filter(([program]) => !path.some((folder) => existsSync(join(folder, program))));

if (missing().length > 0) {
  const packages = [...new Set(missing().map(([, name]) => name))];
  const command = `apt-get install -y --no-install-recommends ${packages.join(" ")}`;
  const canInstall = process.getuid?.() === 0 && existsSync("/usr/bin/apt-get");
  if (canInstall) {
    console.log(
      `The tests run against real servers and a real browser. Installing ${packages.join(", ")}: ${command}`,
    );
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    spawnSync("apt-get update -qq", { shell: true, stdio: "inherit", env });
    // No service may start by itself: every test starts its own servers on its own ports.
    spawnSync(`${command} -qq`, {
      shell: true,
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...env, RUNLEVEL: "1" },
    });
  }
  if (missing().length > 0) {
    console.error(
      `The tests need programs that are not here: ${missing()
        .map(([name]) => name)
        .join(", ")}.`,
    );
    console.error(`On Debian, as root: ${command}`);
    process.exit(1);
  }
}

const { status } = spawnSync("vitest", ["run", ...process.argv.slice(2)], {
  stdio: "inherit",
  env: { ...process.env, PATH: path.join(delimiter) },
});
process.exit(status ?? 1);
