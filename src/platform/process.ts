import { randomUUID } from "node:crypto";
import { hostname, userInfo } from "node:os";

/** Another name after each start: a restarted replica must not be taken for the one that died. */
export const memberName = (): string => `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;

export const random = (): number => Math.random();

/** Who runs this process, by name where the system knows one. */
export function userName(env: Readonly<Record<string, string | undefined>>): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run under a number that no user has.
    return env.USER || env.LOGNAME || `uid ${process.getuid?.() ?? "unknown"}`;
  }
}
