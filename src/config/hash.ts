import type { Config } from "./config.ts";
import { fingerprint } from "./fingerprint.ts";

/**
 * A number for `taskwatch_config_hash`: equal for configurations that mean the same, whatever the order of keys (the
 * schema gives them its own) and the comments. The first 48 bits of the fingerprint, which a double holds exactly.
 */
export const hashConfig = (config: Config): number => Number.parseInt(fingerprint(config).slice(0, 12), 16);
