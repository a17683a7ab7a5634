import type { FastifyContextConfig, FastifyInstance, HTTPMethods } from "fastify";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;

interface Allowed {
  readonly methods: Set<HTTPMethods>;
  readonly config: FastifyContextConfig;
}

/** What each path is served by, filled as routes are added. To be called before the first one is. */
export function allowedMethods(app: FastifyInstance): ReadonlyMap<string, Allowed> {
  const paths = new Map<string, Allowed>();
  app.addHook("onRoute", ({ url, method, config }) => {
    const { access } = config ?? {};
    const known = paths.get(url) ?? { methods: new Set(), config: access === undefined ? {} : { access } };
    paths.set(url, known);
    for (const each of [method].flat()) known.methods.add(each);
  });
  return paths;
}

/** A path that is served, asked by another method, is answered 405 with `Allow`, behind the same credentials. */
export function refuseOtherMethods(app: FastifyInstance, paths: ReadonlyMap<string, Allowed>): void {
  for (const [url, { methods, config }] of [...paths]) {
    const allow = METHODS.filter((method) => methods.has(method)).join(", ");
    const others = METHODS.filter((method) => !methods.has(method));
    app.route({
      method: others,
      url,
      config,
      // Before a body is looked at.
      onRequest: async (request, reply) =>
        reply
          .code(405)
          .header("allow", allow)
          .send({ error: `${request.method} is not allowed; allowed: ${allow}` }),
      handler: async () => undefined,
    });
  }
}
