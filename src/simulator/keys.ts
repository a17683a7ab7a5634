import { createSecretKey, type KeyObject } from "node:crypto";
import { z } from "zod";
import type { Refusal } from "./answers.ts";
import {
  canonicalRequests,
  parseAuthorization,
  parseSdkDate,
  type SignedRequest,
  signatureOf,
} from "./signature.ts";
import { instant } from "./time.ts";

const MAX_SKEW_MS = 15 * 60_000;
const FAILURES_BEFORE_LOCK = 5;
const LOCK_MS = 5 * 60_000;
const MAX_TOKENS = 1000;

/** A key pair; temporary when it has a security token. */
export const keyPair = z.strictObject({
  access_key: z.string().min(1),
  secret_key: z.string().min(1),
  security_token: z.string().optional(),
  expires_at: instant.optional(),
});
export type KeyPair = z.input<typeof keyPair>;

interface Key {
  readonly secret: KeyObject;
  readonly securityToken: string | undefined;
  readonly expiresAt: number;
  /** Ids of the projects it may act in. */
  readonly projects: Set<string>;
  revoked: boolean;
  failures: number;
  lockedUntil: number;
}

interface Token {
  readonly projects: ReadonlySet<string>;
  expiresAt: number;
}

/** Who called: the access key or, of a token, nothing; and where it may act. */
export interface Caller {
  readonly projects: ReadonlySet<string>;
}

/** How a key stands; `failures` in a row, `locked_until` in epoch ms or null. */
export interface KeyState {
  readonly access_key: string;
  readonly revoked: boolean;
  readonly failures: number;
  readonly locked_until: number | null;
}

/** All key pairs and tokens, and the check of a request against them. */
export class KeyRing {
  readonly #keys = new Map<string, Key>();
  readonly #tokens = new Map<string, Token>();

  /** Adds a key pair, or gives the same one to a further project. */
  addKey(pair: z.output<typeof keyPair>, projects: Iterable<string>): void {
    const known = this.#keys.get(pair.access_key);
    const same = known?.secret.equals(createSecretKey(pair.secret_key, "utf8")) === true;
    const all = new Set([...(known && same ? known.projects : []), ...projects]);
    this.#keys.set(pair.access_key, {
      secret: createSecretKey(pair.secret_key, "utf8"),
      securityToken: pair.security_token,
      expiresAt: pair.expires_at ?? Number.POSITIVE_INFINITY,
      projects: all,
      revoked: false,
      failures: 0,
      lockedUntil: 0,
    });
  }

  /** From now on the key is unknown to the cloud; false when it was never known. */
  revoke(accessKey: string): boolean {
    const key = this.#keys.get(accessKey);
    if (key) key.revoked = true;
    return key !== undefined;
  }

  addToken(token: string, projects: Iterable<string>, expiresAt: number): void {
    this.#tokens.set(token, { projects: new Set(projects), expiresAt });
    const oldest = this.#tokens.keys().next().value;
    if (this.#tokens.size > MAX_TOKENS && oldest !== undefined) this.#tokens.delete(oldest);
  }

  /** All tokens given out so far are over. */
  expireTokens(): void {
    for (const token of this.#tokens.values()) token.expiresAt = Number.NEGATIVE_INFINITY;
  }

  states(now: number): KeyState[] {
    return [...this.#keys].map(([access_key, key]) => ({
      access_key,
      revoked: key.revoked,
      failures: key.failures,
      locked_until: key.lockedUntil > now ? key.lockedUntil : null,
    }));
  }

  /** The caller, or the refusal in the gateway's words. Failures of a key count towards its lock. */
  check(request: SignedRequest, now: number): Caller | Refusal {
    const token = request.headers["x-auth-token"];
    if (token !== undefined) return this.#checkToken(token, now);
    const header = request.headers.authorization;
    if (header === undefined)
      return unauthorized("Incorrect IAM authentication information: x-auth-token not found");
    const authorization = parseAuthorization(header);
    if (!authorization)
      return unauthorized("Incorrect IAM authentication information: Authorization format is incorrect");
    const { accessKey } = authorization;
    const key = this.#keys.get(accessKey);
    if (!key) return unknownKey(accessKey);
    if (key.lockedUntil > now) {
      return unauthorized(
        "Incorrect IAM authentication information: AK access failed to reach the limit,forbidden",
      );
    }
    const refusal = key.revoked ? unknownKey(accessKey) : this.#checkKey(key, request, authorization, now);
    if (!refusal) {
      key.failures = 0;
      return key;
    }
    key.failures += 1;
    if (key.failures > FAILURES_BEFORE_LOCK) {
      key.lockedUntil = now + LOCK_MS;
      key.failures = 0;
    }
    return refusal;
  }

  #checkToken(value: string, now: number): Caller | Refusal {
    const token = this.#tokens.get(value);
    if (!token) return unauthorized("Incorrect IAM authentication information: decrypt token fail");
    if (token.expiresAt > now) return token;
    return { status: 401, code: "APIGW.0307", message: "The token must be updated." };
  }

  #checkKey(
    key: Key,
    request: SignedRequest,
    authorization: NonNullable<ReturnType<typeof parseAuthorization>>,
    now: number,
  ): Refusal | undefined {
    const prefix = "Incorrect IAM authentication information: ";
    const sdkDate = request.headers["x-sdk-date"] ?? "";
    const signedAt = parseSdkDate(sdkDate);
    if (signedAt === undefined || !authorization.signedHeaders.includes("x-sdk-date")) {
      return unauthorized(`${prefix}x-sdk-date is missing, malformed or not signed`);
    }
    if (Math.abs(now - signedAt) > MAX_SKEW_MS)
      return unauthorized(`${prefix}signature expired, x-sdk-date:${sdkDate}`);
    if (key.expiresAt <= now) return unauthorized(`${prefix}the security token has expired`);
    if (request.headers["x-security-token"] !== key.securityToken) {
      return unauthorized(`${prefix}the security token does not belong to the access key`);
    }
    const canonical = canonicalRequests(request, authorization.signedHeaders);
    const matches = canonical.some(
      (text) => signatureOf(text, sdkDate, key.secret) === authorization.signature,
    );
    if (matches) return undefined;
    const echo = (canonical[0] ?? "").replaceAll("\n", "|");
    return unauthorized(`${prefix}verify signature fail, canonicalRequest:${echo}`);
  }
}

function unknownKey(accessKey: string): Refusal {
  return unauthorized(
    `Incorrect IAM authentication information: Get secretKey failed,ak:${accessKey},err:ak not exist`,
  );
}

function unauthorized(message: string): Refusal {
  return { status: 401, code: "APIGW.0301", message };
}
