import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { maskConfig, maskUrl } from "../../src/config/mask.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import { schema } from "../../src/config/schema.ts";
import { HOOK_SECRET, load, loaded, MINIMAL } from "./support.ts";

/** Without the checks, which would want the files to exist. */
const resolved = (tree: unknown) => resolveConfig(schema.parse(tree));

/** Every scalar as text, as the loader hands it to the schema. */
function texts(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(texts);
  if (typeof value !== "object" || value === null) return String(value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, texts(inner)]));
}

const FULL = {
  projects: [
    {
      name: "a",
      region: "eu-de",
      project_id: "p",
      credentials: { user: "u", password: "x", domain: "d" },
      requests_per_second: "0.5",
      proxy: "http://proxy.example:3128/",
      discover: { every: "1m", exclude: ["x*"], enterprise_project_id: "0" },
      scheduled_tasks: "true",
      instances: [
        {
          id: "i",
          name: "n",
          engine: "rabbitmq",
          poll: { active_schedule: "off", timeout: "1m30s" },
          window: { utc_offset: "-03:30", sweep: "off" },
          stuck: { running_after: "1h", by_task: { t: "1d" }, learn: { factor: "2" }, repeat: "5m" },
        },
      ],
    },
    { name: "b", region: "x", credentials: { metadata: "true" } },
    { name: "c", region: "x", credentials: { access_key: "x", secret_key: "x", security_token: "x" } },
    { name: "d", region: "x", credentials: { token: "x" } },
  ],
  window: { utc_offset: "+05:30", first_poll: "emit" },
  stuck: { by_task: { restart: "20m" }, no_progress_after: "10m", learn: { enabled: "false" } },
  failures: { keep_open: "off" },
  store: { url: "rediss://redis.example:6380/", username: "u", password: "x", shards: "4" },
  webhooks: [
    {
      name: "w",
      url: "https://h.example/x",
      secret: ["x"],
      headers: { "X-A": "x" },
      auth: { bearer_token: "x" },
      match: { task: "a*" },
    },
    {
      name: "am",
      format: "alertmanager",
      urls: ["http://a.example:9093/", "http://b.example:9093/"],
      auth: { basic: { user: "u", password: "x" } },
    },
    { name: "pd", format: "pagerduty", routing_key: "x", group: { by: [], wait: "1s" } },
  ],
  maintenance: [
    { days: ["sat"], from: "01:00", to: "24:00", timezone: "Europe/Dublin", match: { instance: ["a", "b"] } },
    { start: "2026-12-01T22:00:00Z", end: "2026-12-02T02:00:00+01:00" },
  ],
  server: { listen: "[::1]:0", external_url: "https://watch.example/", reload: "true" },
};

describe("the masked configuration", () => {
  it("is a configuration that means the same, but for its secrets", () => {
    const masked = maskConfig(resolved(FULL));
    const again = maskConfig(resolved(texts(parse(masked))));
    expect(again.replaceAll("%3Csecret%3E", "<secret>")).toBe(masked);
    // What the mask says of durations, offsets, listen addresses and overrides is what was meant.
    const strip = (config: unknown) => JSON.parse(JSON.stringify(config).replaceAll("%3Csecret%3E", ""));
    const { webhooks: _, ...meant } = strip(resolved(FULL));
    const { webhooks: __, ...shown } = strip(resolved(texts(parse(masked))));
    for (const side of [meant, shown]) side.projects[2].credentials.access_key = "";
    expect(shown).toEqual(meant);
  });

  it("keeps scheme and host of URLs that are secret", async () => {
    const { config } = await loaded(
      `${MINIMAL}webhooks: [{ name: w, url: "https://h.example:8443/hidden?t=hidden" }]\n`,
    );
    const masked = maskConfig(config);
    expect(masked).toContain("url: https://h.example:8443/<secret>");
    expect(masked).not.toContain("hidden");
    expect(maskUrl("no url")).toBe("<secret>");
  });

  it.each([
    ["redis://user:hidden@r.example:6379/3", "redis://<secret>@r.example:6379/3"],
    ["redis+sentinel://:hidden@a:1,b:2/orders", "redis+sentinel://<secret>@a:1,b:2/orders"],
    ["redis+cluster://a:1,b:2", "redis+cluster://a:1,b:2"],
  ])("shows of the Redis %s what is no secret", async (url, shown) => {
    const { config } = await loaded(`${MINIMAL}store: { url: "${url}" }\n`);
    expect(parse(maskConfig(config)).store.url).toBe(shown);
  });
});

describe("no secret is shown, whatever is wrong", () => {
  /** Long enough not to be part of any message by chance. */
  const secrets = fc
    .string({ minLength: 12, maxLength: 40, unit: fc.constantFrom(..."abcXYZ019+/=") })
    .map((text) => `s3cr3t${text}`);

  it("in the masked output", async () => {
    await fc.assert(
      fc.asyncProperty(secrets, async (secret) => {
        const file = `${MINIMAL.replace("access_key: AK", `access_key: "${secret}"`).replace("SK", `"${secret}"`)}webhooks:
  - name: w
    url: "https://h.example/${secret}"
    secret: ["whsec_${Buffer.from(secret).toString("base64")}"]
    headers: { X-A: "${secret}" }
    auth: { basic: { user: u, password: "${secret}" } }
server: { auth: { bearer_token: "${secret}" } }
`;
        const { config } = await loaded(file);
        const masked = maskConfig(config);
        expect(masked).not.toContain(secret);
        expect(masked).not.toContain(Buffer.from(secret).toString("base64"));
      }),
      { numRuns: 50 },
    );
  });

  /** Files that are wrong, with the secret where a secret, or a variable with one, stands. */
  const wrong: readonly ((secret: string) => string)[] = [
    (secret) => `projects: [{ credentials: "${secret}" }]\n`,
    (secret) => `projects: [{ credentials: { secret_key: ["${secret}"], security_token: "${secret}" } }]\n`,
    (secret) =>
      `projects: [{ credentials: { access_key: "${secret}", profile: "x", password: "${secret}" } }]\n`,
    (secret) => `projects: [{ credentials: { secret_key: "${secret}\\n" } }]\n`,
    (secret) => `${MINIMAL}webhooks: ["${secret}"]\n`,
    (secret) => `${MINIMAL}webhooks: [{ name: w, url: "${secret}", secret: "${secret}" }]\n`,
    (secret) =>
      `${MINIMAL}webhooks: [{ name: w, urls: ["${secret}"], headers: ["${secret}"], auth: "${secret}" }]\n`,
    (secret) =>
      `${MINIMAL}webhooks: [{ name: w, url: "https://u:${secret}@h/", headers: { Host: "${secret}" } }]\n`,
    (secret) =>
      `${MINIMAL}webhooks: [{ name: w, secret: ["whsec_${secret}!", { file: "whsec_${secret}" }] }]\n`,
    (secret) => `${MINIMAL}store: { url: "mysql://u:${secret}@h", password: { x: "${secret}" } }\n`,
    (secret) => `${MINIMAL}server: { auth: { basic: "${secret}" }, listen: "$\{HIDDEN}" }\n`,
    () => `${MINIMAL}log: { level: "$\{HIDDEN}" }\nserver: { listen: "$\{HIDDEN}:1" }\n`,
    (secret) => `a: "${secret}\nb: '${secret}\n`,
    (secret) => `a: !x "${secret}"\nb: *x${secret.replace(/\W/g, "")}\n`,
    (secret) => `a: [ ${secret.replace(/\W/g, "")} }\n`,
  ];

  it("in a problem", async () => {
    await fc.assert(
      fc.asyncProperty(secrets, fc.constantFrom(...wrong), async (secret, file) => {
        const result = await load(file(secret), { env: { HIDDEN: secret } });
        expect(result.ok).toBe(false);
        if (result.ok) return;
        const said = `${result.problems.map(formatProblem).join("\n")}${JSON.stringify(result.problems)}`;
        expect(said).not.toContain(secret);
        expect(said).not.toContain(secret.replace(/\W/g, ""));
      }),
      { numRuns: 300 },
    );
  });

  it("and any text at all is judged without an exception", async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), fc.json()), async (text) => {
        const result = await load({ "/etc/taskwatch.yaml": text });
        expect(result.ok || result.problems.length > 0).toBe(true);
      }),
    );
  });

  it("reads the same secrets as were written", async () => {
    const { config } = await loaded(
      `${MINIMAL}webhooks: [{ name: w, url: "https://h/", secret: ${HOOK_SECRET} }]\n`,
    );
    expect(config.webhooks[0]?.secrets.map((secret) => secret.reveal())).toEqual([HOOK_SECRET]);
  });
});
