import { createHash, timingSafeEqual } from "node:crypto";
import type { AuthConfig } from "../config/config.ts";

/** Whether a request's Authorization header is the configured one, and what to ask for when it is not. */
export interface Authenticator {
  accepts(authorization: string | undefined): boolean;
  /** Whose credentials they are, as far as they name somebody. */
  readonly user: string | null;
  /** Values of WWW-Authenticate. */
  readonly challenges: readonly string[];
}

const REALM = 'realm="dms-taskwatch"';
const BASIC = `Basic ${REALM}, charset="UTF-8"`;
const HEADER = /^(bearer|basic) +(\S+)$/i;

/** A token is taken as the password of any user too: a browser can send that, and cannot send a token. */
export function authenticator(auth: AuthConfig): Authenticator {
  if (auth.kind === "bearer") {
    const expected = digest(auth.token.reveal());
    return {
      user: null,
      challenges: [`Bearer ${REALM}`, BASIC],
      accepts(authorization) {
        const password = userAndPassword(authorization)?.replace(/^[^:]*:/, "") ?? null;
        return equal(expected, credential(authorization, "bearer") ?? password);
      },
    };
  }
  const expected = digest(`${auth.user}:${auth.password.reveal()}`);
  return {
    user: auth.user,
    challenges: [BASIC],
    accepts: (authorization) => equal(expected, userAndPassword(authorization)),
  };
}

function credential(authorization: string | undefined, scheme: "bearer" | "basic"): string | null {
  const match = HEADER.exec(authorization ?? "");
  return match?.[1]?.toLowerCase() === scheme ? (match[2] ?? null) : null;
}

/** Null where there is no colon between them, too. */
function userAndPassword(authorization: string | undefined): string | null {
  const encoded = credential(authorization, "basic");
  const text = encoded === null ? "" : Buffer.from(encoded, "base64").toString("utf8");
  return text.includes(":") ? text : null;
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Digests are compared, so that neither the content nor the length shows in the time it takes. */
const equal = (expected: Buffer, given: string | null): boolean =>
  timingSafeEqual(expected, digest(given ?? "")) && given !== null;
