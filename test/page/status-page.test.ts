import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEMO_KEY, type Simulator, startSimulator } from "../../src/simulator/server.ts";
import { Browser, type BrowserPage } from "../support/browser.ts";
import { Inbox } from "../support/inbox.ts";
import { RunningApp } from "../support/running-app.ts";
import { watchConfig } from "../support/watch-config.ts";

const HOSTILE = `<img src=x onerror="alert(1)"><script>alert(2)</script>'"\u202e`;
const LONG = "unbreakable".repeat(20);

const resources = new AsyncDisposableStack();
let simulator: Simulator;
let inbox: Inbox;
let app: RunningApp;
let browser: Browser;

beforeAll(async () => {
  const task = (name: string, id: string, rest: Record<string, unknown>) => ({ task: { name, id, ...rest } });
  const failed = { created_ago: "1h", runs_for: "90s", ends: "FAILED" };
  simulator = resources.use(
    await startSimulator({
      projects: [
        {
          keys: [DEMO_KEY],
          instances: [
            { name: "orders" },
            { name: `billing${HOSTILE}`, engine: "rabbitmq" },
            { name: "quiet" },
          ],
        },
      ],
      steps: [
        { instance: "orders", ...task("resize", "zombie", { created_ago: "3h", runs_for: "forever" }) },
        { instance: "orders", ...task("restart", "runs", { created_ago: "15m", runs_for: "forever" }) },
        { instance: "orders", ...task(HOSTILE, `<b id="x">&'"`, failed) },
        { instance: "orders", ...task(LONG, "long", failed) },
        { instance: "orders", ...task("bindPublicIp", "fine", { created_ago: "5h", runs_for: "40m" }) },
        { instance: "orders", ...task("bindPublicIp", "ancient", { created_ago: "40h", runs_for: "1h" }) },
      ],
    }),
  );
  inbox = resources.use(await Inbox.start());
  app = resources.use(
    await RunningApp.start(watchConfig(simulator, inbox, { window: { first_poll: "emit" } })),
  );
  browser = resources.use(await Browser.start());
  await inbox.event("task.stuck");
  await inbox.until(() => inbox.ofType("task.failed").length === 2);
}, 90_000);

afterAll(() => resources.disposeAsync());

async function openPage(path = "/", prepare: (page: BrowserPage) => Promise<unknown> = async () => {}) {
  const page = await browser.page();
  await prepare(page);
  await page.open(`${app.url}${path}`);
  return page;
}

const LIVE = `document.getElementById("live").textContent === "live"`;
const textOf = (id: string) => `document.getElementById("${id}").innerText`;

describe("the status page", () => {
  test("shows what fails, what is stuck and what runs, since when and against which limit", async () => {
    const page = await openPage();
    expect(await page.evaluate("document.title")).toBe("2 failing · 1 stuck · dms-taskwatch");
    expect(await page.evaluate(textOf("failing"))).toMatch(
      /Failing \(2\)[\s\S]*orders prod[\s\S]* ago \d\d:\d\d:\d\d/,
    );
    expect(await page.evaluate(textOf("stuck"))).toMatch(
      /Stuck \(1\)[\s\S]*resize\s+orders prod\s+running too long EXECUTING\s+3h.*\s+1h \(running_after\)\s+\S+ ago \d\d:\d\d:\d\d/,
    );
    expect(await page.evaluate(textOf("running"))).toMatch(
      /Running \(1\)[\s\S]*restart\s+orders prod\s+EXECUTING\s+15m.* of 1h \(running_after\)/,
    );
    const meter = await page.evaluate(
      `(({ value, max }) => value / max)(document.querySelector("#running meter"))`,
    );
    expect(meter).toBeCloseTo(0.25, 1);
  });

  test("draws the day: a lane per instance, a bar per task, as long as it ran", async () => {
    const page = await openPage();
    const bars = await page.evaluate(`[...document.querySelectorAll("#day li a")].map((bar) => ({
      text: bar.getAttribute("aria-label"),
      x: parseFloat(bar.querySelector("rect").getAttribute("x")),
      width: parseFloat(bar.querySelector("rect").getAttribute("width")),
      kind: bar.querySelector("rect").getAttribute("class"),
    }))`);
    const of = (name: string) => bars.find(({ text }: { text: string }) => text.startsWith(name));
    expect(bars).toHaveLength(5);
    expect(of("resize")).toMatchObject({ kind: "bar stuck" });
    expect(of("resize").x + of("resize").width).toBeCloseTo(100, 0);
    expect(of("resize").width).toBeCloseTo((3 / 24) * 100, 0);
    expect(of("bindPublicIp")).toMatchObject({
      kind: "bar succeeded",
      text: expect.stringMatching(/^bindPublicIp: succeeded \(SUCCESS\), \S+Z, 40m$/),
    });
    expect(of("bindPublicIp").x).toBeCloseTo((19 / 24) * 100, 0);
    expect(of("bindPublicIp").width).toBeCloseTo((40 / 60 / 24) * 100, 0);
    expect(await page.evaluate(textOf("day"))).toMatch(/2 instances had none\./);
  });

  test("shows the latest events and the monitor's own health", async () => {
    const page = await openPage();
    expect(await page.evaluate(textOf("events"))).toMatch(
      /\d\d:\d\d:\d\d task\.stuck resize orders running_too_long/,
    );
    const monitor = await page.evaluate(textOf("monitor"));
    expect(monitor).toMatch(/Replicas\s+1: \S+ \(answers\)/);
    expect(monitor).toMatch(/prod eu-west-101\s+3\s+accepted\s+\d+s ago/);
    expect(monitor).toMatch(/ops 127\.0\.0\.1:\d+\s+ok\s+0\s+0\s+\d+s ago 204/);
    expect(monitor).toMatch(/quiet prod, kafka\s+polled\s+\d+s ago\s+1s\s+0 open/);
    expect(await page.text()).not.toContain(new URL(inbox.url).pathname);
  });

  test("takes every name for text, asks nobody else, and keeps its own policy", async () => {
    const page = await openPage();
    await page.until(LIVE);
    expect(await page.text()).toContain(`<img src=x onerror="alert(1)"><script>alert(2)</script>'"\\u{202e}`);
    expect(await page.evaluate(`document.querySelectorAll("img, main script, #x").length`)).toBe(0);
    await page.evaluate(`document.querySelector('#failing a[href*="%3Cb"]').click()`);
    await page.until(`location.pathname.startsWith("/tasks/%3Cb") && ${LIVE}`);
    expect(await page.text()).toContain(`<b id="x">&'"`);
    expect(page.complaints).toEqual([]);
    for (const request of page.requests) expect(request.startsWith(`${app.url}/`), request).toBe(true);
  });

  test("has a strict policy, and files that a browser may keep", async () => {
    const answer = await fetch(`${app.url}/`);
    const policy = answer.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    const body = await answer.text();
    expect(body).not.toMatch(/ style="| on\w+="|<style|javascript:/i);
    const files = [...body.matchAll(/(?:src|href)="(page\/[^"]+)"/g)].map(([, path]) => path);
    expect(files).toHaveLength(3);
    for (const file of files) {
      const { status, headers } = await fetch(`${app.url}/${file}`);
      expect([status, headers.get("cache-control")]).toEqual([200, "private, max-age=31536000, immutable"]);
    }
  });

  test("follows what happens without being loaded again, and leaves the keyboard where it is", async () => {
    const page = await openPage();
    await page.until(LIVE);
    await page.evaluate(`window.same = true; document.querySelector("#stuck a").focus()`);
    simulator.control.createTask(
      { instance: "orders" },
      { id: "now", name: "happensNow", runs_for: "forever" },
    );
    await page.until(`${textOf("running")}.includes("happensNow")`);
    await page.until(`${textOf("events")}.includes("happensNow")`);
    expect(await page.evaluate("window.same")).toBe(true);
    expect(await page.evaluate("document.activeElement.textContent")).toBe("resize");
    expect(await page.evaluate(`document.querySelectorAll("#events").length`)).toBe(1);
    simulator.control.updateTask({ instance: "orders" }, "now", { status: "FAILED" });
    await page.until(`document.title.startsWith("3 failing")`);
    expect(await page.evaluate(textOf("running"))).not.toContain("happensNow");
  });

  test("is used with the keyboard alone", async () => {
    const page = await openPage();
    await page.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to the content");
    await page.press("Enter");
    expect(await page.evaluate("document.activeElement.id")).toBe("main");
    await page.press("Tab");
    expect(await page.evaluate(`document.activeElement.closest("section").id`)).toBe("failing");
    for (let step = 0; step < 20; step++) {
      if (await page.evaluate(`document.activeElement.textContent === "resize"`)) break;
      await page.press("Tab");
    }
    await page.press("Enter");
    await page.until(`location.pathname === "/tasks/zombie" && document.readyState === "complete"`);
    expect(await page.text()).toMatch(/stuck since \S+Z: running_too_long: EXECUTING, age 3h/);
    expect(await page.text()).toContain("dms-taskwatch ack zombie");
  });

  test("without scripts shows the same, and loads itself again", async () => {
    const page = await openPage("/", (each) =>
      each.send("Emulation.setScriptExecutionDisabled", { value: true }),
    );
    const { root } = await page.send("DOM.getDocument");
    const of = async (selector: string) => {
      const { nodeId } = await page.send("DOM.querySelector", { nodeId: root.nodeId, selector });
      return nodeId === 0 ? null : (await page.send("DOM.getOuterHTML", { nodeId })).outerHTML;
    };
    expect(await of('meta[http-equiv="refresh"]')).toContain('content="30"');
    expect(await of("#stuck")).toContain("resize");
    expect(await of("#monitor")).toContain("quiet");
  });

  test("a link of a message leads to its task", async () => {
    const page = await openPage("/#/tasks/zombie");
    await page.until(`location.pathname === "/tasks/zombie" && ${LIVE}`);
    expect(await page.evaluate(textOf("task"))).toMatch(/resize[\s\S]*zombie/);
  });

  test.each([390, 1280])(
    "fits a screen of %i pixels, light and dark, with enough contrast",
    async (width) => {
      const page = await openPage();
      await page.until(LIVE);
      const papers = new Set<string>();
      for (const scheme of ["light", "dark"] as const) {
        await page.look(width, scheme);
        expect(
          await page.evaluate("document.documentElement.scrollWidth <= innerWidth"),
          "scrolls aside",
        ).toBe(true);
        expect(await page.evaluate(POOR_CONTRAST), scheme).toEqual([]);
        papers.add(await page.evaluate("getComputedStyle(document.body).backgroundColor"));
      }
      expect(papers.size).toBe(2);
    },
  );
});

/** Texts with a contrast below 4.5 to what is behind them (WCAG AA). */
const POOR_CONTRAST = `(() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => ((c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = channels(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const poor = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (walk.currentNode.data.trim() === "" || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const ink = channels(element.closest("svg") ? style.fill : style.color);
    const [a, b] = [luminance(ink), luminance(behind(element))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) poor.push(walk.currentNode.data.trim().slice(0, 30) + " " + contrast.toFixed(2));
  }
  return poor;
})()`;

test("the page of a task that is not known says so", async () => {
  const answer = await fetch(`${app.url}/tasks/nobody`);
  expect([answer.status, answer.headers.get("content-type")]).toEqual([404, "text/html; charset=utf-8"]);
  expect(await answer.text()).toContain("is known to the store");
});

describe("with credentials", () => {
  test.each([
    ["a user and a password", { basic: { user: "ana", password: "pass" } }, "ana:pass"],
    ["a token, given as the password", { bearer_token: "s3cret" }, "anybody:s3cret"],
  ])("%s: a browser that has them sees all, live", async (_what, auth, given) => {
    await using own = await RunningApp.start(
      watchConfig(simulator, null, { server: { listen: "127.0.0.1:0", auth } }),
    );
    expect((await fetch(`${own.url}/`)).status).toBe(401);
    const page = await browser.page();
    await page.open(own.url.replace("http://", `http://${given}@`));
    await page.until(LIVE);
    await page.until(`${textOf("monitor")}.includes("quiet")`);
    expect(page.complaints.filter((each) => !each.includes("401"))).toEqual([]);
  });
});

describe("acknowledging on the page of a task", () => {
  test("is offered where credentials are needed, says who and why, and the page shows it", async () => {
    await using mailbox = await Inbox.start();
    const server = { listen: "127.0.0.1:0", auth: { basic: { user: "ana", password: "pass" } } };
    await using own = await RunningApp.start(watchConfig(simulator, mailbox, { server }));
    await mailbox.event("task.stuck");
    const page = await browser.page();
    await page.open(`${own.url.replace("http://", "http://ana:pass@")}/tasks/zombie`);
    await page.until(`!document.querySelector("form").hidden`);
    await page.look(390, "dark");
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    expect(await page.evaluate(`document.querySelector("[name=by]").value`)).toBe("ana");
    await page.evaluate(`document.querySelector("[name=reason]").value = "the cloud never closes it"`);
    await page.evaluate(`document.querySelector("[name=reason]").focus()`);
    await page.press("Enter");
    await page.until(`${textOf("task")}.includes("acknowledged by ana")`);
    const { data } = await mailbox.event("task.recovered");
    expect(data).toMatchObject({ resolution: "acknowledged", resolved_by: { user: "ana" } });
    expect(await page.text()).toMatch(/Acknowledged\s+by ana \S+ ago: the cloud never closes it/);
    expect(await page.evaluate(`document.querySelectorAll("form button").length`)).toBe(0);
    expect(page.complaints.filter((each) => !each.includes("401"))).toEqual([]);
  });

  test("says why it was not done", async () => {
    const server = { listen: "127.0.0.1:0", auth: { bearer_token: "s3cret" } };
    await using own = await RunningApp.start(
      watchConfig(simulator, null, { server, window: { first_poll: "emit" } }),
    );
    const page = await browser.page();
    const headers = { authorization: "Bearer s3cret" };
    await expect
      .poll(async () => (await fetch(`${own.url}/tasks/long`, { headers })).status, { timeout: 20_000 })
      .toBe(200);
    await page.open(`${own.url.replace("http://", "http://x:s3cret@")}/tasks/long`);
    await page.until(`!document.querySelector("form").hidden`);
    simulator.control.createTask(
      { instance: "orders" },
      { id: "good", name: LONG, runs_for: "10ms", ends: "SUCCESS" },
    );
    await page.until(`${textOf("task")}.includes("task.recovered")`);
    await page.evaluate(`document.querySelector("[name=by]").value = "ana"`);
    await page.evaluate(`document.querySelector("form button").click()`);
    await page.until(
      `document.querySelector("form output").textContent.startsWith("Not acknowledged: task long is neither")`,
    );
  });
});

test("a page whose program is gone says since when it does not follow", async () => {
  await using own = await RunningApp.start(watchConfig(simulator, null));
  const page = await browser.page();
  await page.open(own.url);
  await page.until(LIVE);
  await own.stop();
  await page.evaluate("refresh()");
  await page.until(`document.getElementById("live").textContent.startsWith("No answer since")`);
  expect(await page.evaluate(textOf("monitor"))).toContain("quiet");
});
