import { CloudError } from "../errors.ts";
import { type RequestAuth, tokenHeaders } from "./auth.ts";
import { classify, httpDate } from "./classify.ts";
import { instant } from "./decode.ts";
import type { HttpAnswer } from "./http.ts";
import { isFields, parseJson } from "./json.ts";
import { type Fetched, Refreshing } from "./refreshing.ts";
import { target } from "./target.ts";
import type { Transport } from "./transport.ts";

export interface IamTokenOptions {
  readonly transport: Transport;
  /** Origin of IAM. */
  readonly iamEndpoint: string;
  readonly user: string;
  readonly password: string;
  readonly domain: string;
  /** What the token is for: a project by id, or by name, which is the region's. */
  readonly scope: { readonly id: string } | { readonly name: string };
  /** Ends the calls that nobody waits for. */
  readonly lifetime: AbortSignal;
}

/** Tokens live for 24 hours. */
const MARGIN_MS = 60 * 60_000;
/** Where the answer does not say: short enough to be safe, long enough not to ask all the time. */
const UNSAID_LIFETIME_MS = 60 * 60_000;

/** A user's password, exchanged for a token that is kept fresh. */
export function iamTokenAuth(options: IamTokenOptions): RequestAuth {
  const { transport, iamEndpoint, user, password, domain, scope, lifetime } = options;
  const at = target(iamEndpoint, ["v3", "auth", "tokens"], null);
  const body = JSON.stringify({
    auth: {
      identity: {
        methods: ["password"],
        password: { user: { name: user, password, domain: { name: domain } } },
      },
      scope: { project: scope },
    },
  });
  const secrets = (): readonly string[] => (tokens.value === null ? [password] : [password, tokens.value]);

  const judge = (answer: HttpAnswer): Fetched<string> => {
    const now = transport.clock.now();
    if (answer.status < 200 || answer.status > 299) {
      throw classify(answer, { where: at.host, now, secrets: secrets(), signed: false });
    }
    const token = answer.header("x-subject-token")?.trim() ?? "";
    if (!/^[\x21-\x7e]+$/.test(token)) {
      throw new CloudError("bad_response", `${at.host} answered ${answer.status} without a token`, {
        status: answer.status,
      });
    }
    const ends = expiryOf(answer.body);
    const lifetimeMs = ends === null ? UNSAID_LIFETIME_MS : ends - (httpDate(answer) ?? now);
    return { value: token, key: token, lifetimeMs: Math.max(0, lifetimeMs) };
  };

  const fetch = (signal: AbortSignal): Promise<Fetched<string>> =>
    transport.call(
      "token",
      {
        request: () => ({
          method: "POST",
          origin: at.origin,
          path: `${at.path}?nocatalog=true`,
          headers: {
            host: at.host,
            accept: "application/json",
            "content-type": "application/json;charset=utf8",
          },
          body,
        }),
        judge,
      },
      signal,
    );

  const tokens = new Refreshing(fetch, MARGIN_MS, transport.clock, lifetime);
  return {
    prepare: (signal) => tokens.prepare(signal),
    headers: (where) => tokenHeaders(where, tokens.value ?? ""),
    renew: (refused, signal) => tokens.renew(refused["x-auth-token"] ?? "", signal),
    discard: () => tokens.discard(),
    signs: false,
    secrets,
  };
}

function expiryOf(body: string): number | null {
  const parsed = parseJson(body);
  return isFields(parsed) && isFields(parsed.token) ? instant(parsed.token.expires_at) : null;
}
