import childProcess from "node:child_process";
import { syncBuiltinESMExports } from "node:module";

/** In the fast half every way to start a process throws, also one that no import shows. */
const means = childProcess as unknown as Record<string, () => never>;
for (const name of ["exec", "execFile", "execFileSync", "execSync", "fork", "spawn", "spawnSync"] as const) {
  means[name] = () => {
    throw new Error(
      `${name}: a test of the fast half starts no process; import node:child_process where the test can see it`,
    );
  };
}
syncBuiltinESMExports();
