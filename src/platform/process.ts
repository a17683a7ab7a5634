import { randomUUID } from "node:crypto";
import { hostname } from "node:os";

/** Another name after each start: a restarted replica must not be taken for the one that died. */
export const memberName = (): string => `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;

export const random = (): number => Math.random();
