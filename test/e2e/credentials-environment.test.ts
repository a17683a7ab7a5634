import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { DEFAULT_PROJECT_ID, DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { Daemon, Folder } from "../support/daemon.ts";

vi.setConfig({ testTimeout: 60_000 });

const TEMPORARY_KEY = {
  access_key: "TEMPORARYACCESSKEY00",
  secret_key: "a temporary secret key",
  security_token: "for these keys alone",
};
const USER = { name: "watcher", password: "pass-word-1", domain: "acme" };
const TOKEN = "a-ready-token";
const REGION = "eu-west-101";
const DMS = `dms.${REGION}.myhuaweicloud.eu:443`;
const IAM = `iam.${REGION}.myhuaweicloud.eu:443`;

/** A proxy that leads every host to one port, and writes down which hosts were asked for. */
async function detour(port: number): Promise<{ readonly url: string; readonly asked: Set<string> }> {
  const asked = new Set<string>();
  const sockets = new Set<Socket>();
  const server = createServer((_, response) => response.writeHead(501).end());
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy()).on("close", () => sockets.delete(socket));
  };
  server.on("connection", keep);
  server.on("connect", (request, near: Socket) => {
    asked.add(request.url ?? "");
    const far = connect(port, "127.0.0.1", () => {
      near.write("HTTP/1.1 200 OK\r\n\r\n");
      far.pipe(near).pipe(far);
    });
    keep(far);
    far.on("close", () => near.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

/** The cloud of the region behind its own names, with a certificate for them. */
async function region() {
  const folder = await Folder.create();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  const [key, cert] = [folder.file("key.pem"), folder.file("cert.pem")];
  execFileSync(
    "openssl",
    [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=region".split(" "),
      ...["-addext", `subjectAltName=DNS:*.${REGION}.myhuaweicloud.eu`, "-keyout", key, "-out", cert],
    ],
    { stdio: "pipe" },
  );
  const simulator = await startSimulator({
    tls: { key: await readFile(key, "utf8"), cert: await readFile(cert, "utf8") },
    projects: [
      {
        id: DEFAULT_PROJECT_ID,
        name: REGION,
        keys: [DEMO_KEY, TEMPORARY_KEY],
        users: [USER],
        instances: [{ name: "orders" }, { name: "billing", engine: "rabbitmq" }],
      },
    ],
  });
  onTestFinished(() => simulator.close());
  simulator.control.addToken(TOKEN);
  const { url, asked } = await detour(Number(new URL(simulator.url).port));
  const env = { HTTPS_PROXY: url, NODE_EXTRA_CA_CERTS: cert, TASKWATCH_LISTEN: "127.0.0.1:0" };
  return { control: simulator.control, asked, env: { ...env, TASKWATCH_STORE_URL: "sqlite::memory:" } };
}

test.each([
  {
    names: "the SDKs' names, with a project id",
    given: {
      HUAWEICLOUD_SDK_AK: DEMO_KEY.access_key,
      HUAWEICLOUD_SDK_SK: DEMO_KEY.secret_key,
      HUAWEICLOUD_SDK_PROJECT_ID: DEFAULT_PROJECT_ID,
      TASKWATCH_REGION: REGION,
    },
    key: DEMO_KEY.access_key,
    hosts: [DMS],
  },
  {
    names: "the SDKs' names, with a security token",
    given: {
      HUAWEICLOUD_SDK_AK: TEMPORARY_KEY.access_key,
      HUAWEICLOUD_SDK_SK: TEMPORARY_KEY.secret_key,
      HUAWEICLOUD_SDK_SECURITY_TOKEN: TEMPORARY_KEY.security_token,
      TASKWATCH_REGION: REGION,
    },
    key: TEMPORARY_KEY.access_key,
    hosts: [IAM, DMS],
  },
  {
    names: "Terraform's names of a key pair",
    given: {
      HW_ACCESS_KEY: DEMO_KEY.access_key,
      HW_SECRET_KEY: DEMO_KEY.secret_key,
      HW_REGION_NAME: REGION,
    },
    key: DEMO_KEY.access_key,
    hosts: [IAM, DMS],
  },
  {
    names: "Terraform's name of a token",
    given: { HW_AUTH_TOKEN: TOKEN, HW_REGION_NAME: REGION, HW_PROJECT_ID: DEFAULT_PROJECT_ID },
    key: "token",
    hosts: [DMS],
  },
  {
    names: "Terraform's names of a user",
    given: {
      HW_USER_NAME: USER.name,
      HW_USER_PASSWORD: USER.password,
      HW_DOMAIN_NAME: USER.domain,
      HW_REGION_NAME: REGION,
    },
    key: "token",
    hosts: [IAM, DMS],
  },
])("the environment alone is a configuration: $names", async ({ given, key, hosts }) => {
  const { control, asked, env } = await region();
  await using daemon = await Daemon.start(null, { ...env, ...given });
  await expect.poll(async () => (await daemon.scrape()).sum("dms_instance_up"), { timeout: 30_000 }).toBe(2);
  expect(asked).toEqual(new Set(hosts));
  expect(new Set(control.requests({ operation: "list_tasks" }).map((call) => call.key))).toEqual(
    new Set([key]),
  );
  expect(control.requests().filter(({ status }) => status >= 400)).toEqual([]);
});
