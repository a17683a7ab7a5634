import { spawnSync } from "node:child_process";
import { cpSync, rmSync } from "node:fs";

/** dist/ is what the package and the image run: JavaScript, and beside it the SQL and Lua files that it reads. */
rmSync("dist", { recursive: true, force: true });
const { status } = spawnSync("tsc", ["-p", "tsconfig.build.json"], { stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);
cpSync("src", "dist", {
  recursive: true,
  filter: (path) => !path.endsWith(".ts"),
});
