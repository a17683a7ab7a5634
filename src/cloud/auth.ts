import { Signer } from "./sign.ts";
import type { RequestTarget } from "./target.ts";

/** How calls of one project show who they are. */
export interface RequestAuth {
  /**
   * Called before each call waits for its turn: resolves once there are credentials to use, which may take a call
   * of its own. Null when they are there already.
   */
  prepare(signal: AbortSignal): Promise<void> | null;
  /**
   * All headers of one GET.
   * @param query canonical, exactly as it will be sent
   * @param now time to sign by, epoch milliseconds
   */
  headers(target: RequestTarget, query: string, now: number): Record<string, string>;
  /** Gets new credentials after those in these headers were called out of date; null where only a person can. */
  readonly renew: ((refused: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<void>) | null;
  /** Drops credentials that were refused, so that the next call gets others; null where only a person can. */
  readonly discard: (() => void) | null;
  /** Signatures carry the time, so a wrong clock can be why they are refused. */
  readonly signs: boolean;
  /** Texts that no message may show. */
  secrets(): readonly string[];
}

export interface KeyPair {
  readonly accessKey: string;
  readonly secretKey: string;
  /** With temporary keys. */
  readonly securityToken: string | null;
}

/** Signs with a key pair. */
export function keyPairAuth(keys: KeyPair): RequestAuth {
  const signer = signerOf(keys);
  const secrets = secretsOf(keys);
  return {
    prepare: () => null,
    headers: (target, query, now) => signer.headers(target, query, now),
    renew: null,
    discard: null,
    signs: true,
    secrets: () => secrets,
  };
}

/** Sends a token that somebody else keeps fresh. */
export function tokenAuth(token: string): RequestAuth {
  return {
    prepare: () => null,
    headers: (target) => tokenHeaders(target, token),
    renew: null,
    discard: null,
    signs: false,
    secrets: () => [token],
  };
}

export function signerOf(keys: KeyPair): Signer {
  const { accessKey, secretKey, securityToken } = keys;
  return new Signer(
    accessKey,
    secretKey,
    securityToken === null ? {} : { "x-security-token": securityToken },
  );
}

export function secretsOf(keys: KeyPair): readonly string[] {
  return [keys.accessKey, keys.secretKey, ...(keys.securityToken === null ? [] : [keys.securityToken])];
}

export function tokenHeaders(target: RequestTarget, token: string): Record<string, string> {
  return { host: target.host, ...target.headers, "x-auth-token": token };
}
