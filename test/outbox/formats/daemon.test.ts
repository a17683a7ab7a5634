import { createHmac } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEMO_KEY, type Simulator, startSimulator } from "../../../src/simulator/server.ts";
import { runCli } from "../../support/cli.ts";
import { Daemon, Folder } from "../../support/daemon.ts";
import { type Received, type Receiver, startReceiver } from "../../support/receiver.ts";
import { projectOf } from "../../support/watch-config.ts";
import { Watchers } from "../../support/watchers.ts";

/* The daemon as a process, configured by a file as an operator writes it, and one address for all media. */

const SECRET = `whsec_${Buffer.from("a secret for the test of formats").toString("base64")}`;

const file = (projects: unknown, to: string): string => `
projects: ${JSON.stringify(projects)}
poll: { schedule: "* * * * * *", active_schedule: off }
store: { url: "sqlite::memory:" }
server: { listen: "127.0.0.1:0", external_url: https://tw.example.org }
log: { level: debug }
webhooks:
  - { name: events, url: "${to}/cloudevents", secret: ${SECRET} }
  - { name: slack, format: slack, url: "${to}/slack" }
  - { name: teams, format: teams, url: "${to}/teams" }
  - { name: pagerduty, format: pagerduty, url: "${to}/v2/enqueue", routing_key_file: routing-key }
  - { name: feishu, format: feishu, url: "${to}/feishu", secret: s3cr3t-feishu }
  - { name: dingtalk, format: dingtalk, url_file: dingtalk-url, secret_file: dingtalk-secret }
  - { name: wecom, format: wecom, url: "${to}/wecom" }
  - name: own
    format: template
    url: ${to}/template
    template_file: message.tmpl
    content_type: text/plain
  - { name: alerts, format: alertmanager, urls: ["${to}/am", "http://127.0.0.1:1/s3cr3t"] }
  - name: grouped
    format: slack
    url: ${to}/grouped
    group: { by: [instance], wait: 3s, interval: 1m }
`;

/** What each medium says when it has taken a message. */
const TAKEN: Readonly<Record<string, string>> = {
  "/slack": "ok",
  "/grouped": "ok",
  "/feishu": '{"code":0,"msg":"success"}',
  "/dingtalk": '{"errcode":0,"errmsg":"ok"}',
  "/wecom": '{"errcode":0,"errmsg":"ok"}',
  "/v2/enqueue": '{"status":"success"}',
};
const pathOf = ({ path }: Received): string => path.replace(/\?.*/, "");

describe("each format is a configuration away", { timeout: 60_000 }, () => {
  const opened: AsyncDisposable[] = [];
  const use = <T extends AsyncDisposable>(resource: T): T => {
    opened.unshift(resource);
    return resource;
  };
  const watchers = new Watchers();
  let receiver: Receiver;
  let simulator: Simulator;
  let daemon: Daemon;
  let config: string;
  let folder: Folder;

  const at = (path: string): readonly Received[] =>
    receiver.requests.filter((request) => pathOf(request) === path);
  const arrives = (path: string, count = 1): Promise<readonly Received[]> =>
    watchers.until(
      () => (at(path).length >= count ? at(path) : undefined),
      () => `${path}: ${at(path).length} of ${count}; ${daemon.log.text.slice(-4_000)}`,
    );
  const json = async (path: string) => JSON.parse((await arrives(path))[0]?.body ?? "");

  beforeAll(async () => {
    receiver = await startReceiver();
    use({ [Symbol.asyncDispose]: () => receiver.close() });
    receiver.otherwise((request) => {
      watchers.changed();
      return { status: 200, body: TAKEN[pathOf(request)] ?? "" };
    });
    simulator = use(
      await startSimulator({ projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }] }] }),
    );
    folder = use(await Folder.create());
    const to = `http://127.0.0.1:${receiver.port}`;
    await folder.write("routing-key", "R0UT1NG\n");
    await folder.write("dingtalk-url", `${to}/dingtalk?access_token=t0k3n\n`);
    await folder.write("dingtalk-secret", "SECd1ng\n");
    await folder.write("message.tmpl", "{{data.task.name}} on {{data.instance.name}}: {{data.reason}}");
    config = await folder.write("taskwatch.yaml", file([projectOf(simulator)], to));
    daemon = use(await Daemon.start(config));
    await daemon.log.until("polled");
    for (const [name, id] of [
      ["resizeInstance", "t1"],
      ["modifyAutoTopic", "t2"],
    ] as const)
      simulator.control.createTask({ instance: "orders" }, { id, name, ends: "FAILED", runs_for: 0 });
  });
  afterAll(async () => {
    for (const resource of opened) await resource[Symbol.asyncDispose]();
  });

  test("cloudevents: two events, each signed", async () => {
    for (const { body, headers } of await arrives("/cloudevents", 2))
      expect(new Webhook(SECRET).verify(body, headers as Record<string, string>)).toMatchObject({
        type: "taskwatch.task.failed",
        data: { url: expect.stringContaining("https://tw.example.org/") },
      });
  });

  test("slack", async () => {
    const texts = (await arrives("/slack", 2)).map(({ body }) => (JSON.parse(body) as { text: string }).text);
    expect(texts.toSorted()).toEqual([
      "Task failed: modifyAutoTopic on orders",
      "Task failed: resizeInstance on orders",
    ]);
  });

  test("teams", async () => {
    expect(await json("/teams")).toMatchObject({
      type: "message",
      attachments: [{ content: { type: "AdaptiveCard" } }],
    });
  });

  test("pagerduty, with the routing key of a file", async () => {
    const { id } = simulator.control.projects()[0] as { id: string };
    const bodies = (await arrives("/v2/enqueue", 2)).map(
      ({ body }) => JSON.parse(body) as Record<string, string>,
    );
    for (const body of bodies)
      expect(body).toMatchObject({ routing_key: "R0UT1NG", event_action: "trigger" });
    const [, , instance] = bodies[0]?.dedup_key?.split("/") ?? [];
    expect(bodies.map(({ dedup_key }) => dedup_key).toSorted()).toEqual([
      `dms-taskwatch/${id}/${instance}/t1`,
      `dms-taskwatch/${id}/${instance}/t2`,
    ]);
  });

  test("feishu, signed in the body", async () => {
    const { timestamp, sign, msg_type } = await json("/feishu");
    expect(msg_type).toBe("interactive");
    expect(sign).toBe(createHmac("sha256", `${timestamp}\ns3cr3t-feishu`).digest("base64"));
  });

  test("dingtalk, signed in the query, with URL and secret of files", async () => {
    const [request] = await arrives("/dingtalk");
    const query = new URL(`http://h${request?.path}`).searchParams;
    const signed = createHmac("sha256", "SECd1ng").update(`${query.get("timestamp")}\nSECd1ng`);
    expect(query.get("access_token")).toBe("t0k3n");
    expect(query.get("sign")).toBe(signed.digest("base64"));
  });

  test("wecom", async () => {
    expect((await json("/wecom")).markdown.content).toContain("Task failed");
  });

  test("template, of a file, with its content type", async () => {
    const requests = await arrives("/template", 2);
    expect(requests.map(({ body }) => body).toSorted()).toEqual([
      "modifyAutoTopic on orders: first seen as FAILED",
      "resizeInstance on orders: first seen as FAILED",
    ]);
    expect(requests[0]?.headers["content-type"]).toBe("text/plain");
  });

  test("grouped: what failed together is one message", async () => {
    expect(await json("/grouped")).toMatchObject({ text: "2 events on orders: 2 × task failed" });
    await expect
      .poll(
        async () =>
          (await daemon.scrape()).value("taskwatch_webhook_delivered_total", { webhook: "grouped" }),
        { timeout: 20_000 },
      )
      .toBe(2);
    expect(at("/grouped")).toHaveLength(1);
  });

  test("alertmanager: what lasts, at each of its addresses", async () => {
    await watchers.until(
      () => (at("/am/api/v2/alerts").flatMap(({ body }) => JSON.parse(body)).length >= 2 ? true : undefined),
      () => `${at("/am/api/v2/alerts").length} posts`,
    );
    const posted = at("/am/api/v2/alerts").flatMap(({ body }) => JSON.parse(body));
    expect(new Set(posted.map(({ labels }) => labels.task_id))).toEqual(new Set(["t1", "t2"]));
  });

  test("nothing was refused but by who is not there, and nothing waits", async () => {
    const delivered = async () =>
      (await daemon.scrape())
        .series("taskwatch_webhook_delivered_total")
        .filter(({ labels }) => labels.webhook !== "alerts")
        .map(({ value }) => value);
    await expect.poll(delivered, { timeout: 20_000 }).toEqual(Array(9).fill(2));
    const failures = (await daemon.scrape())
      .series("taskwatch_webhook_failures_total")
      .filter(({ value }) => value > 0)
      .map(({ labels }) => [labels.webhook, labels.reason]);
    expect(failures).toEqual([["alerts", "network"]]);
  });

  test.each([
    ["events", "/cloudevents", "taskwatch.test"],
    ["slack", "/slack", '"text":"Test'],
    ["teams", "/teams", "AdaptiveCard"],
    ["pagerduty", "/v2/enqueue", '"dedup_key":"dms-taskwatch/test/evt_'],
    ["feishu", "/feishu", '"sign":'],
    ["dingtalk", "/dingtalk", '"msgtype":"markdown"'],
    ["wecom", "/wecom", '"msgtype":"markdown"'],
    ["own", "/template", "test of webhook own: nothing happened"],
    ["grouped", "/grouped", '"text":"Test'],
  ])("webhook test %s sends one marked message and shows the answer", async (name, path, content) => {
    const before = at(path).length;
    const { code, stdout, stderr } = await runCli(["webhook", "test", name, "--config", config]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const answer = TAKEN[path] ?? "";
    expect(stdout).toMatch(
      new RegExp(
        `^sent evt_[0-9a-f]{32} to ${name} at http://127\\.0\\.0\\.1:${receiver.port}/<secret>\ndelivered: HTTP 200.* after [0-9.]+ s\n`,
      ),
    );
    if (answer !== "") expect(stdout).toContain(`answer: ${answer}\n`);
    expect(at(path).length).toBe(before + 1);
    expect(at(path).at(-1)?.body).toContain(content);
  });

  test("webhook test of format alertmanager posts a marked alert to each address; one that takes it is enough", async () => {
    const { code, stdout } = await runCli(["webhook", "test", "alerts", "--config", config]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^sent TaskwatchTest to alerts at \S+\ndelivered: HTTP 200 after [0-9.]+ s\nsent TaskwatchTest to alerts at http:\/\/127\.0\.0\.1:1\/<secret>\nnot delivered: .*ECONNREFUSED/,
    );
    expect(stdout).not.toContain("s3cr3t");
    const [alert] = JSON.parse(at("/am/api/v2/alerts").at(-1)?.body ?? "");
    expect(alert.labels).toEqual({
      alertname: "TaskwatchTest",
      severity: "info",
      project: "prod",
      webhook: "alerts",
    });
  });

  test("a reload with a template that cannot work changes nothing and says where it is wrong", async () => {
    await folder.write("message.tmpl", "{{data.tsk.name}}");
    const found = "webhooks[7].template_file: found data.tsk.name in line 1, column 1 of it";
    daemon.kill("SIGHUP");
    await daemon.log.until(({ msg, ...rest }) => JSON.stringify([msg, rest]).includes(found));
    expect(await runCli(["check", "--config", config])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(found),
    });
  });
});
