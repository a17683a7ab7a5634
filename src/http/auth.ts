import { createHash, timingSafeEqual } from "node:crypto";
import type { AuthConfig } from "../config/config.ts";

/** Whether a request's Authorization header is the configured one, and what to ask for when it is not. */
export interface Authenticator {
  accepts(authorization: string | undefined): boolean;
  /** Whose credentials they are, as far as they name somebody. */
  readonly user: string | null;
  /** Value of WWW-Authenticate. */
  readonly challenge: string;
}

const REALM = 'realm="dms-taskwatch"';
const HEADER = /^(bearer|basic) +(\S+)$/i;

export function authenticator(auth: AuthConfig): Authenticator {
  if (auth.kind === "bearer") {
    const expected = digest(auth.token.reveal());
    return {
      user: null,
      challenge: `Bearer ${REALM}`,
      accepts: (authorization) => equal(expected, credential(authorization, "bearer")),
    };
  }
  const expected = digest(`${auth.user}:${auth.password.reveal()}`);
  return {
    user: auth.user,
    challenge: `Basic ${REALM}, charset="UTF-8"`,
    accepts(authorization) {
      const encoded = credential(authorization, "basic");
      return equal(expected, encoded === null ? null : Buffer.from(encoded, "base64").toString("utf8"));
    },
  };
}

function credential(authorization: string | undefined, scheme: "bearer" | "basic"): string | null {
  const match = HEADER.exec(authorization ?? "");
  return match?.[1]?.toLowerCase() === scheme ? (match[2] ?? null) : null;
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Digests are compared, so that neither the content nor the length shows in the time it takes. */
const equal = (expected: Buffer, given: string | null): boolean =>
  timingSafeEqual(expected, digest(given ?? "")) && given !== null;
