import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { loaded } from "../config/support.ts";
import { ROOT, stagesOf } from "./dockerfile.ts";

const FOLDER = "deploy/kubernetes";

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface Pod {
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly containers: readonly [Container];
  readonly volumes: readonly { readonly name: string; readonly configMap?: { readonly name: string } }[];
}

const read = (name: string) => parse(readFileSync(join(ROOT, FOLDER, name), "utf8"));
const kustomization = read("kustomization.yaml") as {
  readonly resources: readonly string[];
  readonly configMapGenerator: readonly [{ readonly name: string; readonly files: readonly string[] }];
};
const manifests = kustomization.resources.map((name) => read(name) as Manifest);
const only = <T>(kind: string) =>
  manifests.find((manifest) => manifest.kind === kind) as Manifest & { spec: T };
const deployment = only<{
  readonly replicas: number;
  readonly selector: { readonly matchLabels: Labels };
  readonly template: { readonly metadata: { readonly labels: Labels }; readonly spec: Pod };
}>("Deployment").spec;
type Labels = Readonly<Record<string, string>>;
const pod = deployment.template.spec;
const [container] = pod.containers;
const instruction = (name: string) =>
  stagesOf()
    .at(-1)
    ?.instructions.find((each) => each.name === name)?.text;

test("the kustomization names every file of its folder, and no other", () => {
  const [config] = kustomization.configMapGenerator;
  const named = [...kustomization.resources, ...config.files];
  for (const name of named) expect(existsSync(join(ROOT, FOLDER, name)), name).toBe(true);
  const rest = readdirSync(join(ROOT, FOLDER)).filter((name) => !named.includes(name));
  expect(rest.sort()).toEqual(["README.md", "kustomization.yaml"]);
  expect(pod.volumes.find(({ configMap }) => configMap)?.configMap?.name).toBe(config.name);
});

test("the configuration loads with the secrets where the pod mounts them, and every path is mounted", async () => {
  const [{ files }] = kustomization.configMapGenerator;
  const path = container.args.at(-1) ?? "";
  expect(container.args).toEqual(["run", "--config", path]);
  const mounted = container.volumeMounts.map(({ mountPath }) => mountPath);
  expect(mounted).toContain(dirname(path));
  expect(files).toContain(basename(path));
  const text = readFileSync(join(ROOT, FOLDER, files[0] ?? ""), "utf8");
  const secrets = [...text.matchAll(/_file: (\S+)/g)].map(([, file = ""]) => file);
  expect(secrets).not.toEqual([]);
  for (const file of secrets) expect(mounted).toContain(dirname(file));
  // The names that the README creates the secret with.
  const readme = readFileSync(join(ROOT, FOLDER, "README.md"), "utf8");
  for (const file of secrets) expect(readme).toContain(`--from-file=${basename(file)}=`);
  const { config } = await loaded(
    { [path]: text, ...Object.fromEntries(secrets.map((file) => [file, "key\n"])) },
    { path },
  );
  expect(config.store.kind).toBe("redis");
  expect(deployment.replicas).toBeGreaterThan(1);
  // The stop's time, and then some to give the shards back.
  expect(pod.terminationGracePeriodSeconds * 1_000).toBeGreaterThanOrEqual(
    config.server.stop_timeout + 5_000,
  );
  expect(config.server.listen.port).toBe(container.ports[0]?.containerPort);
});

test("ports, probes, labels and rights are those of the image and the daemon", () => {
  const [port] = container.ports;
  expect(String(port?.containerPort)).toBe(instruction("EXPOSE"));
  expect(container.readinessProbe.httpGet).toEqual({ path: "/readyz", port: port?.name });
  expect(container.livenessProbe.httpGet).toEqual({ path: "/healthz", port: port?.name });
  const user = instruction("USER")?.split(":").map(Number) ?? [];
  expect(pod.securityContext).toMatchObject({
    runAsNonRoot: true,
    runAsUser: user[0],
    runAsGroup: user[1],
    fsGroup: user[1],
  });
  expect(container.securityContext).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
  expect(container.volumeMounts.map(({ mountPath }) => mountPath)).toContain(instruction("VOLUME"));
  const service = only<{ selector: Labels; ports: readonly { port: number; targetPort: string }[] }>(
    "Service",
  ).spec;
  expect(service.ports).toMatchObject([{ port: port?.containerPort, targetPort: port?.name }]);
  const disruption = only<{ selector: { matchLabels: Labels } }>("PodDisruptionBudget").spec;
  for (const selector of [service.selector, disruption.selector.matchLabels, deployment.selector.matchLabels])
    expect(deployment.template.metadata.labels).toMatchObject(selector);
});
