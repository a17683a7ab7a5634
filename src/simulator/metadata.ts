import { z } from "zod";
import { type Answer, json } from "./answers.ts";
import { micros } from "./iam.ts";
import { hexId } from "./random.ts";
import { duration } from "./time.ts";
import type { World } from "./world.ts";

export const metadataOptions = z.strictObject({
  /** False: the server has no agency, there are no keys. */
  agency: z.boolean().default(true),
  /** What `PUT /meta-data/latest/api/token` answers: 200, or 404, 405, 503 where it is not offered. */
  token_step: z.union([z.literal(200), z.literal(404), z.literal(405), z.literal(503)]).default(200),
  /** True: keys only with a metadata token. */
  require_token: z.boolean().default(false),
  key_lifetime: duration.prefault("1h"),
  /** New keys appear this long before the old ones end. */
  renew_before: duration.prefault("10m"),
});

interface AgencyKey {
  readonly access: string;
  readonly secret: string;
  readonly securitytoken: string;
  readonly expiresAt: number;
}

/** The metadata service of a cloud server: temporary keys of its agency, renewed before they end. */
export class Metadata {
  readonly #world: World;
  #options: z.output<typeof metadataOptions>;
  readonly #tokens = new Map<string, number>();
  #current: AgencyKey | undefined;
  #made = 0;

  constructor(world: World, options: z.output<typeof metadataOptions>) {
    this.#world = world;
    this.#options = options;
  }

  configure(options: z.output<typeof metadataOptions>): void {
    this.#options = options;
  }

  /** New keys at once; the ones before stay valid until their end. */
  rotate(now: number): AgencyKey {
    const serial = this.#made++;
    const secret = hexId(`agency secret ${now} ${serial}`);
    const key = {
      access: `AGENCY${hexId(`agency access ${now} ${serial}`).slice(0, 14).toUpperCase()}`,
      secret,
      securitytoken: hexId(`agency token ${secret}`).repeat(8),
      expiresAt: now + this.#options.key_lifetime,
    };
    this.#world.keys.addKey(
      {
        access_key: key.access,
        secret_key: secret,
        security_token: key.securitytoken,
        expires_at: key.expiresAt,
      },
      this.#world.projects.keys(),
    );
    this.#current = key;
    return key;
  }

  /** `PUT /meta-data/latest/api/token`. */
  issueToken(ttlHeader: string | undefined, now: number): Answer {
    if (this.#options.token_step !== 200) return text(this.#options.token_step, "Not Found");
    const ttl = Number(ttlHeader);
    if (!Number.isInteger(ttl) || ttl < 1 || ttl > 21_600) return text(400, "Bad Request");
    for (const [old, end] of this.#tokens) if (end <= now) this.#tokens.delete(old);
    const token = hexId(`metadata token ${now} ${this.#made++}`);
    this.#tokens.set(token, now + ttl * 1000);
    return text(200, token);
  }

  /** `GET /openstack/latest/securitykey`. */
  key(token: string | undefined, now: number): Answer {
    const known = token !== undefined && (this.#tokens.get(token) ?? 0) > now;
    if (!known && (token !== undefined || this.#options.require_token)) return text(401, "Unauthorized");
    if (!this.#options.agency) return text(401, "Please configure Cloud Service Agency first");
    const current = this.#current;
    const fresh = current !== undefined && current.expiresAt - now > this.#options.renew_before;
    const key = fresh ? current : this.rotate(now);
    const credential = {
      access: key.access,
      secret: key.secret,
      securitytoken: key.securitytoken,
      expires_at: micros(key.expiresAt),
    };
    return json(200, JSON.stringify({ credential }));
  }
}

function text(status: number, body: string): Answer {
  return { status, headers: { "Content-Type": "text/plain" }, body };
}
