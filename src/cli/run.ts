import { App } from "../app/app.ts";
import { watchFiles } from "../config/watcher.ts";
import { createLog } from "../observe/logger.ts";
import { systemClock } from "../platform/clock.ts";
import { memberName, random } from "../platform/process.ts";
import { VERSION } from "../version.ts";
import { type ConfigArgs, load, mustLoad } from "./config.ts";
import type { ExitCode, Io } from "./io.ts";

/** The daemon, until the signal is aborted. Rejects with UsageError or StoreError when it cannot start. */
export async function run(args: ConfigArgs, io: Io): Promise<ExitCode> {
  const loaded = await mustLoad(args, io);
  const log = createLog(loaded.config.log.level);
  const app = new App({
    loaded,
    load: () => load(args, io),
    log,
    clock: systemClock,
    random,
    env: io.env,
    build: {
      version: VERSION,
      revision: io.env.TASKWATCH_REVISION ?? "",
      nodeVersion: process.versions.node,
    },
    member: memberName(),
  });
  const reload = () => app.reload().catch((err) => log.component("app").error({ err }, "reload failed"));
  const stopped = new Promise<void>((resolve) => {
    const stop = () => resolve(app.stop());
    if (io.signal.aborted) stop();
    else io.signal.addEventListener("abort", stop, { once: true });
  });
  // Before the start, which may wait long for a store.
  io.hangup.listen(() => void reload());
  await app.start();
  const watching = watchFiles({
    files: () => app.files,
    onChange: async () => void (await reload()),
    clock: systemClock,
    signal: io.signal,
  });
  await Promise.all([stopped, watching]);
  log.component("app").info("stopped");
  return 0;
}
