import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { FORMATS, GROUP_KEYS } from "../../src/config/config.ts";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { formatOf } from "../../src/outbox/formats/index.ts";
import { standardWebhookHeaders } from "../../src/outbox/sign.ts";
import { HOOK_SECRET, MINIMAL } from "../config/support.ts";
import { Folder } from "../support/daemon.ts";
import { freePort } from "../support/free-port.ts";
import { event, many } from "./formats/samples.ts";

const docs = readFileSync(new URL("../../docs/webhooks.md", import.meta.url), "utf8");

const blocks = (language: string): string[] =>
  [...docs.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms"))].map(([, text = ""]) => text);

/** What stands in the files that the snippets name. */
function content(path: string): string {
  if (path.endsWith(".tmpl")) return blocks("mustache")[0] ?? "";
  if (path.endsWith("-url")) return "https://hooks.example.org/s3cr3t";
  return path.endsWith("/hook") ? HOOK_SECRET : "a secret";
}

async function webhooksOf(yaml: string) {
  const loaded = await loadConfig({
    path: "/etc/taskwatch.yaml",
    env: {},
    readFile: async (path) =>
      Buffer.from(path === "/etc/taskwatch.yaml" ? `${MINIMAL}${yaml}` : content(path)),
  });
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join("\n"));
  return loaded.config.webhooks;
}

describe("docs/webhooks.md", () => {
  test("every configuration in it loads, and there is one for each format", async () => {
    const webhooks = (await Promise.all(blocks("yaml").map(webhooksOf))).flat();
    expect(new Set(webhooks.map(({ format }) => format))).toEqual(new Set(FORMATS));
    for (const webhook of webhooks.filter(({ format }) => format !== "alertmanager"))
      expect(formatOf(webhook).render([event()], 0).body).toContain("modifyAutoTopic");
  });

  test("its template makes one message of several events", async () => {
    const [webhook] = (await Promise.all(blocks("yaml").map(webhooksOf)))
      .flat()
      .filter(({ format }) => format === "template");
    const { text } = JSON.parse(formatOf(webhook!).render(many(3), 0).body) as { text: string };
    expect(text.split("\n").slice(0, 2)).toEqual([
      "3 events",
      "status EXECUTING -> FAILED: task 0 on orders",
    ]);
  });

  test("it names the limits that are kept, every format and every key of a group", async () => {
    for (const format of FORMATS) {
      expect(docs).toContain(`\`${format}\``);
      const row = docs.split("\n").find((line) => line.startsWith(`| \`${format}\` |`)) ?? "";
      const [webhook] = (await Promise.all(blocks("yaml").map(webhooksOf)))
        .flat()
        .filter((each) => each.format === format);
      for (const { requests, per } of (webhook && format !== "alertmanager" && formatOf(webhook).limits) ||
        [])
        expect(row).toMatch(
          new RegExp(`\\b${requests}( message)? a ${per === 60_000 ? "minute" : "second"}`),
        );
    }
    for (const key of GROUP_KEYS) expect(docs).toContain(`\`${key}\``);
  });

  test("links lead to what exists", () => {
    const anchors = [...docs.matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) =>
      title
        .toLowerCase()
        .replace(/[^a-z0-9 -]/g, "")
        .replaceAll(" ", "-"),
    );
    for (const [, anchor] of docs.matchAll(/\]\(#([^)]+)\)/g)) expect(anchors).toContain(anchor);
  });

  test("its receiver takes what is signed, each event once, and nothing else", async () => {
    await using folder = await Folder.create();
    const port = await freePort();
    const program = await folder.write("receiver.mjs", blocks("js")[0] ?? "");
    const child = spawn(process.execPath, [program], {
      env: { ...process.env, HOOK_SECRET, PORT: String(port) },
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(async () => {
      child.kill("SIGKILL");
      await once(child, "exit");
    });
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk;
    });
    const { id, body } = event();
    const post = async (secrets: readonly string[], text = body, at = Date.now()) => {
      const headers = standardWebhookHeaders(id, body, secrets, at);
      const answer = await fetch(`http://127.0.0.1:${port}/`, {
        method: "POST",
        body: text,
        headers: { ...headers },
      });
      return answer.status;
    };
    await expect.poll(() => post([]).catch(() => null), { timeout: 20_000 }).toBe(401);
    const other = `whsec_${Buffer.from("another secret").toString("base64")}`;
    expect(await post([other])).toBe(401);
    expect(await post([HOOK_SECRET], body.replace("FAILED", "SUCCESS"))).toBe(401);
    expect(await post([HOOK_SECRET], body, Date.now() - 600_000)).toBe(401);
    expect(said).toBe("");
    // While the secret is rotated, either will do.
    expect(await post([other, HOOK_SECRET])).toBe(204);
    expect(await post([HOOK_SECRET])).toBe(204);
    await expect
      .poll(() => said)
      .toBe("taskwatch.task.failed orders modifyAutoTopic status EXECUTING -> FAILED\n");
  });
});
