import fc from "fast-check";
import { expect, test } from "vitest";
import { json, serve } from "../cloud/serve.ts";
import { runInProcess } from "../support/cli.ts";
import { Folder } from "../support/daemon.ts";

/** Long and random enough not to stand in an output by chance. */
const secret = fc
  .stringMatching(/^[A-Za-z0-9+/=_.~:@!$%^&*()-]{12,40}$/)
  .map((text) => `s3${text.replaceAll("$", "x")}`);
const urlPart = fc.stringMatching(/^[A-Za-z0-9_-]{12,30}$/).map((text) => `s3${text}`);
const secrets = fc.record({
  accessKey: fc.stringMatching(/^[A-Z0-9]{20}$/),
  secretKey: secret,
  securityToken: secret,
  proxyPassword: urlPart,
  path: urlPart,
  query: urlPart,
  webhookSecret: fc
    .uint8Array({ minLength: 24, maxLength: 32 })
    .map((key) => Buffer.from(key).toString("base64")),
  header: secret,
  bearer: urlPart,
  password: secret,
});

/** Repeats what it was sent, headers and all, as gateways and proxies do, with a refusal. */
const echo = (status: number) =>
  serve((request, response) =>
    json(
      response,
      {
        error_code: "APIGW.0301",
        error_msg: `verify signature fail, canonicalRequest:GET|${request.url}|${JSON.stringify(request.headers)}`,
        echo: [request.url, request.rawHeaders, JSON.stringify(request.headers)],
      },
      status,
    ),
  );

test("no command shows a secret of the configuration, whatever others answer with it", async () => {
  await using cloud = await echo(401);
  await using hooks = await echo(422);
  await using folder = await Folder.create();
  const store = folder.file("taskwatch.db");
  await fc.assert(
    fc.asyncProperty(secrets, async (all) => {
      const { accessKey: access_key, secretKey: secret_key, securityToken: security_token } = all;
      const url = `${hooks.url}/${all.path}?key=${all.query}`;
      const config = {
        projects: [
          {
            name: "prod",
            region: "eu-west-101",
            endpoint: cloud.url,
            iam_endpoint: cloud.url,
            credentials: { access_key, secret_key, security_token },
            requests_per_second: 1000,
            instances: [{ id: "6ec6cf7a-0c83-4b3c-9b3f-1f0f1f3ab001" }],
          },
          {
            name: "behind-a-proxy",
            region: "eu-west-101",
            project_id: "0605768a3300d5762fd0c002e2bbd3f9",
            endpoint: "http://127.0.0.1:9",
            credentials: { access_key, secret_key },
            proxy: `http://user:${all.proxyPassword}@127.0.0.1:${hooks.port}`,
            requests_per_second: 1000,
            instances: [{ id: "6ec6cf7a-0c83-4b3c-9b3f-1f0f1f3ab002" }],
          },
        ],
        store: { url: `sqlite:${store}` },
        webhooks: [
          {
            name: "bearer",
            url,
            secret: `whsec_${all.webhookSecret}`,
            headers: { "X-Key": all.header },
            auth: { bearer_token: all.bearer },
          },
          { name: "basic", url, auth: { basic: { user: "u", password: all.password } } },
        ],
      };
      const good = await folder.write("good.json", config);
      const broken = await folder.write("broken.json", {
        ...config,
        poll: { timeout: 1 },
        stucc: { secret: all.secretKey },
      });
      let shown = "";
      const run = async (...args: string[]) => {
        const { code, stdout, stderr } = await runInProcess(...args);
        shown += stdout + stderr;
        return code;
      };
      expect(await run("check", "--online", "--config", good)).toBe(1);
      expect(await run("poll", "--config", good)).toBe(1);
      expect(await run("poll", "--json", "--config", good)).toBe(1);
      for (const name of ["bearer", "basic"]) {
        expect(await run("webhook", "test", name, "--config", good)).toBe(1);
      }
      expect(await run("tasks", "--config", good)).toBe(2);
      expect(await run("webhook", "test", "nobody", "--config", good)).toBe(2);

      const basic = Buffer.from(`u:${all.password}`).toString("base64");
      for (const text of [...Object.values(all), basic]) expect(shown).not.toContain(text);

      shown = "";
      expect(await run("check", "--config", broken)).toBe(2);
      for (const text of Object.values(all)) expect(shown).not.toContain(text);
    }),
    { numRuns: 20 },
  );
});
