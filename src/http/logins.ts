import rateLimit, { normalizeIP } from "@fastify/rate-limit";
import type { FastifyInstance, FastifyRequest } from "fastify";

/** Failed logins of one client that are answered within the time; then it has to wait for the time to end. */
const MOST_FAILURES = 10;
const WINDOW_MS = 60_000;
/** Clients that are remembered. The client that was heard of least recently is forgotten first. */
const MOST_CLIENTS = 1_000;

/** Limits how often a client may fail to log in. */
export interface LoginLimit {
  /** Records a login. Resolves to the seconds that the client has to wait, or to null where it may log in. */
  check(request: FastifyRequest, right: boolean): Promise<number | null>;
}

/**
 * Counts failed logins by the address of the connection (IPv6: by its /64 network). `X-Forwarded-For` is not read,
 * because every client can write it. A limited client is refused even with the right credentials: otherwise it could
 * go on guessing. An address that has logged in before is not refused so, because several clients may share it,
 * behind a proxy for example: whoever guesses there must not lock Prometheus out.
 */
export async function limitLogins(app: FastifyInstance): Promise<LoginLimit> {
  await app.register(rateLimit, {
    global: false,
    max: MOST_FAILURES,
    timeWindow: WINDOW_MS,
    cache: MOST_CLIENTS,
    // Null where the client has closed the connection already.
    keyGenerator: ({ ip }) => normalizeIP(ip ?? ""),
  });
  const failures = app.createRateLimit();
  const loggedIn = new Set<string>();
  return {
    async check(request, right) {
      if (right && loggedIn.has(request.ip)) return null;
      const limit = await failures(request, { increment: !right });
      if (!limit.isAllowed && limit.isExceeded) return limit.ttlInSeconds;
      if (right) {
        const [oldest] = loggedIn;
        if (oldest !== undefined && loggedIn.size >= MOST_CLIENTS) loggedIn.delete(oldest);
        loggedIn.add(request.ip);
      }
      return null;
    },
  };
}
