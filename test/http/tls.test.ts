import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type PeerCertificate } from "node:tls";
import { afterAll, expect, test } from "vitest";
import { Secret } from "../../src/config/secret.ts";
import { UsageError } from "../../src/errors.ts";
import { createHttpServer, type HttpSettings } from "../../src/http/server.ts";
import { systemClock } from "../../src/platform/clock.ts";

const folder = mkdtempSync(join(tmpdir(), "taskwatch-tls-"));
afterAll(() => rmSync(folder, { recursive: true }));

function certificate(name: string): { readonly cert: string; readonly key: Secret } {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  const made = spawnSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
    ].concat([
      ...["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
    ]),
    { encoding: "utf8" },
  );
  if (made.status !== 0) throw new Error(`openssl is needed (apt-get install openssl): ${made.stderr}`);
  return { cert: readFileSync(cert, "utf8"), key: new Secret(readFileSync(key, "utf8")) };
}

const settingsWith = (tls: HttpSettings["tls"]): HttpSettings => ({
  listen: { host: "127.0.0.1", port: 0 },
  external_url: "",
  tls,
  auth: null,
  metrics_auth: true,
  reload: false,
});

const serve = (settings: HttpSettings) =>
  createHttpServer({
    settings,
    clock: systemClock,
    metrics: () => Promise.resolve([]),
    ready: () => ({ ok: true, reasons: [] }),
    reload: () => Promise.resolve({ ok: true }),
    onError: () => undefined,
    onRefused: () => undefined,
  });

async function peer(port: number, ca: string): Promise<PeerCertificate["subject"]["CN"]> {
  const socket = connect({ host: "127.0.0.1", port, ca });
  try {
    await once(socket, "secureConnect");
    return socket.getPeerCertificate().subject.CN;
  } finally {
    socket.destroy();
  }
}

test("a reload brings a new certificate without dropping the listener; a broken one changes nothing", async () => {
  const [first, second] = [certificate("first"), certificate("second")];
  const server = await serve(settingsWith(first));
  try {
    const { port, url } = await server.listen();
    expect(url).toBe(`https://127.0.0.1:${port}`);
    expect(await peer(port, first.cert)).toBe("first");
    for (const broken of [
      { cert: "not a certificate", key: first.key },
      { cert: second.cert, key: first.key },
    ]) {
      expect(() => server.update(settingsWith(broken))).toThrow(/^server\.tls: /);
      expect(await peer(port, first.cert)).toBe("first");
    }
    server.update(settingsWith(second));
    expect(await peer(port, second.cert)).toBe("second");
    expect(() => server.update(settingsWith(null))).toThrow(UsageError);
  } finally {
    await server.close(0);
  }
});

test("a certificate that cannot be used is said in a sentence, without the key", async () => {
  const key = new Secret("-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----");
  const failing = serve(settingsWith({ cert: certificate("third").cert, key }));
  await expect(failing).rejects.toThrow(/^server\.tls: certificate and key cannot be used: /);
  await expect(failing).rejects.not.toThrow(/hush/);
});
