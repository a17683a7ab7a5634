import { AxeBuilder } from "@axe-core/playwright";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEMO_KEY, type Simulator, startSimulator } from "../../src/simulator/server.ts";
import { startBrowser, visit } from "../support/browser.ts";
import { RunningApp } from "../support/running-app.ts";
import { watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

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
  browser = resources.use(await startBrowser());
  await inbox.event("task.stuck");
  await inbox.until(() => inbox.ofType("task.failed").length === 2);
}, 90_000);

afterAll(() => resources.disposeAsync());

async function openPage(path = "/", options: BrowserContextOptions = {}) {
  const opened = await visit(browser, options);
  await opened.page.goto(`${app.url}${path}`);
  return opened;
}

interface Bar {
  readonly text: string;
  readonly x: number;
  readonly width: number;
  readonly kind: string;
}

const LIVE = `document.getElementById("live").textContent === "live"`;
const textOf = (id: string) => `document.getElementById("${id}").innerText`;
const SCHEMES = ["light", "dark"] as const;
const FITS = "document.documentElement.scrollWidth <= innerWidth";
/** How a phone and a desk look at the page. */
const screen = (width: number): BrowserContextOptions => ({
  viewport: { width, height: 900 },
  isMobile: width < 600,
});

describe("the status page", () => {
  test("shows what fails, what is stuck and what runs, since when and against which limit", async () => {
    const { page, text } = await openPage();
    expect(await page.title()).toBe("2 failing · 1 stuck · dms-taskwatch");
    expect(await text("#failing")).toMatch(/Failing \(2\)[\s\S]*orders prod[\s\S]* ago \d\d:\d\d:\d\d/);
    expect(await text("#stuck")).toMatch(
      /Stuck \(1\)[\s\S]*resize\s+orders prod\s+running too long EXECUTING\s+3h.*\s+1h \(running_after\)\s+\S+ ago \d\d:\d\d:\d\d/,
    );
    expect(await text("#running")).toMatch(
      /Running \(1\)[\s\S]*restart\s+orders prod\s+EXECUTING\s+15m.* of 1h \(running_after\)/,
    );
    const meter = await page.evaluate(
      `(({ value, max }) => value / max)(document.querySelector("#running meter"))`,
    );
    expect(meter).toBeCloseTo(0.25, 1);
  });

  test("draws the day: a lane per instance, a bar per task, as long as it ran", async () => {
    const { page, text } = await openPage();
    const bars = await page.evaluate<Bar[]>(`[...document.querySelectorAll("#day li a")].map((bar) => ({
      text: bar.getAttribute("aria-label"),
      x: parseFloat(bar.querySelector("rect").getAttribute("x")),
      width: parseFloat(bar.querySelector("rect").getAttribute("width")),
      kind: bar.querySelector("rect").getAttribute("class"),
    }))`);
    const of = (name: string) => bars.find(({ text }) => text.startsWith(name));
    expect(bars).toHaveLength(5);
    expect(of("resize")).toMatchObject({ kind: "bar stuck" });
    expect(of("resize")!.x + of("resize")!.width).toBeCloseTo(100, 0);
    expect(of("resize")!.width).toBeCloseTo((3 / 24) * 100, 0);
    expect(of("bindPublicIp")).toMatchObject({
      kind: "bar succeeded",
      text: expect.stringMatching(/^bindPublicIp: succeeded \(SUCCESS\), \S+Z, 40m$/),
    });
    expect(of("bindPublicIp")!.x).toBeCloseTo((19 / 24) * 100, 0);
    expect(of("bindPublicIp")!.width).toBeCloseTo((40 / 60 / 24) * 100, 0);
    expect(await text("#day")).toMatch(/2 instances had none\./);
  });

  test("shows the latest events and the monitor's own health", async () => {
    const { text } = await openPage();
    expect(await text("#events")).toMatch(/\d\d:\d\d:\d\d task\.stuck resize orders running_too_long/);
    const monitor = await text("#monitor");
    expect(monitor).toMatch(/Replicas\s+1: \S+ \(answers\)/);
    expect(monitor).toMatch(/prod eu-west-101\s+3\s+accepted\s+\d+s ago/);
    expect(monitor).toMatch(/ops 127\.0\.0\.1:\d+\s+ok\s+0\s+0\s+\d+s ago 204/);
    expect(monitor).toMatch(/quiet prod, kafka\s+polled\s+\d+s ago\s+1s\s+0 open/);
    expect(await text()).not.toContain(new URL(inbox.url).pathname);
  });

  test("takes every name for text, asks nobody else, and keeps its own policy", async () => {
    const { page, until, text, complaints, requests } = await openPage();
    await until(LIVE);
    expect(await text()).toContain(`<img src=x onerror="alert(1)"><script>alert(2)</script>'"\\u{202e}`);
    expect(await page.locator("img, main script, #x").count()).toBe(0);
    await page.click('#failing a[href*="%3Cb"]');
    await until(`location.pathname.startsWith("/tasks/%3Cb") && ${LIVE}`);
    expect(await text()).toContain(`<b id="x">&'"`);
    expect(complaints).toEqual([]);
    expect(requests.length).toBeGreaterThan(2);
    for (const request of requests) expect(request.startsWith(`${app.url}/`), request).toBe(true);
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
    const { page, until, text } = await openPage();
    await until(LIVE);
    await page.evaluate(`window.same = true; document.querySelector("#stuck a").focus()`);
    simulator.control.createTask(
      { instance: "orders" },
      { id: "now", name: "happensNow", runs_for: "forever" },
    );
    await until(`${textOf("running")}.includes("happensNow")`);
    await until(`${textOf("events")}.includes("happensNow")`);
    expect(await page.evaluate("window.same")).toBe(true);
    expect(await page.evaluate("document.activeElement.textContent")).toBe("resize");
    expect(await page.locator("#events").count()).toBe(1);
    simulator.control.updateTask({ instance: "orders" }, "now", { status: "FAILED" });
    await until(`document.title.startsWith("3 failing")`);
    expect(await text("#running")).not.toContain("happensNow");
  });

  test("is used with the keyboard alone", async () => {
    const { page, until, text } = await openPage();
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to the content");
    await page.keyboard.press("Enter");
    expect(await page.evaluate("document.activeElement.id")).toBe("main");
    await page.keyboard.press("Tab");
    expect(await page.evaluate(`document.activeElement.closest("section").id`)).toBe("failing");
    for (let step = 0; step < 20; step++) {
      if (await page.evaluate(`document.activeElement.textContent === "resize"`)) break;
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await until(`location.pathname === "/tasks/zombie" && document.readyState === "complete"`);
    expect(await text()).toMatch(/stuck since \S+Z: running_too_long: EXECUTING, age 3h/);
    expect(await text()).toContain("dms-taskwatch ack zombie");
  });

  test("without scripts shows the same, and loads itself again", async () => {
    const { page, text } = await openPage("/", { javaScriptEnabled: false });
    const again = page.locator('meta[http-equiv="refresh"]');
    expect(await again.getAttribute("content")).toBe("30");
    expect(await text("#stuck")).toContain("resize");
    expect(await text("#monitor")).toContain("quiet");
  });

  test("a link of a message leads to its task", async () => {
    const { until, text } = await openPage("/#/tasks/zombie");
    await until(`location.pathname === "/tasks/zombie" && ${LIVE}`);
    expect(await text("#task")).toMatch(/resize[\s\S]*zombie/);
  });

  test.each([390, 1280])(
    "fits a screen of %i pixels, light and dark, with enough contrast",
    async (width) => {
      const { page, until } = await openPage("/", screen(width));
      await until(LIVE);
      const papers = new Set<unknown>();
      for (const colorScheme of SCHEMES) {
        await page.emulateMedia({ colorScheme });
        expect(await page.evaluate(FITS), "does not scroll aside").toBe(true);
        expect(await page.evaluate(POOR_CONTRAST), colorScheme).toEqual([]);
        papers.add(await page.evaluate("getComputedStyle(document.body).backgroundColor"));
      }
      expect(papers.size).toBe(2);
    },
  );
});

describe("axe finds nothing that keeps people out", () => {
  test.each(["/", "/tasks/zombie", "/tasks/fine", "/tasks/nobody"])("of %s, light and dark", async (path) => {
    const { page, until } = await openPage(path);
    await until(LIVE);
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme });
      const { violations, passes } = await new AxeBuilder({ page }).analyze();
      const found = violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
      expect(found, colorScheme).toEqual([]);
      expect(passes.map(({ id }) => id)).toContain("color-contrast");
    }
  });
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
    const { page, until, complaints } = await visit(browser);
    await page.goto(own.url.replace("http://", `http://${given}@`));
    await until(LIVE);
    await until(`${textOf("monitor")}.includes("quiet")`);
    expect(complaints.filter((each) => !each.includes("401"))).toEqual([]);
  });
});

describe("acknowledging on the page of a task", () => {
  test("is offered where credentials are needed, says who and why, and the page shows it", async () => {
    await using mailbox = await Inbox.start();
    const server = { listen: "127.0.0.1:0", auth: { basic: { user: "ana", password: "pass" } } };
    await using own = await RunningApp.start(watchConfig(simulator, mailbox, { server }));
    await mailbox.event("task.stuck");
    const { page, until, text, complaints } = await visit(browser, { ...screen(390), colorScheme: "dark" });
    await page.goto(`${own.url.replace("http://", "http://ana:pass@")}/tasks/zombie`);
    await until(`!document.querySelector("form").hidden`);
    expect(await page.evaluate(FITS)).toBe(true);
    expect(await page.inputValue("[name=by]")).toBe("ana");
    await page.fill("[name=reason]", "the cloud never closes it");
    await page.press("[name=reason]", "Enter");
    await until(`${textOf("task")}.includes("acknowledged by ana")`);
    const { data } = await mailbox.event("task.recovered");
    expect(data).toMatchObject({ resolution: "acknowledged", resolved_by: { user: "ana" } });
    expect(await text()).toMatch(/Acknowledged\s+by ana \S+ ago: the cloud never closes it/);
    expect(await page.locator("form button").count()).toBe(0);
    expect(complaints.filter((each) => !each.includes("401"))).toEqual([]);
  });

  test("says why it was not done", async () => {
    const server = { listen: "127.0.0.1:0", auth: { bearer_token: "s3cret" } };
    await using own = await RunningApp.start(
      watchConfig(simulator, null, { server, window: { first_poll: "emit" } }),
    );
    const { page, until } = await visit(browser);
    const headers = { authorization: "Bearer s3cret" };
    await expect
      .poll(async () => (await fetch(`${own.url}/tasks/long`, { headers })).status, { timeout: 20_000 })
      .toBe(200);
    await page.goto(`${own.url.replace("http://", "http://x:s3cret@")}/tasks/long`);
    await until(`!document.querySelector("form").hidden`);
    simulator.control.createTask(
      { instance: "orders" },
      { id: "good", name: LONG, runs_for: "10ms", ends: "SUCCESS" },
    );
    await until(`${textOf("task")}.includes("task.recovered")`);
    await page.fill("[name=by]", "ana");
    await page.click("form button");
    await until(
      `document.querySelector("form output").textContent.startsWith("Not acknowledged: task long is neither")`,
    );
  });
});

test("a page whose program is gone says since when it does not follow", async () => {
  await using own = await RunningApp.start(watchConfig(simulator, null));
  const { page, until, text } = await visit(browser);
  await page.goto(own.url);
  await until(LIVE);
  await own.stop();
  await page.evaluate("refresh()");
  await until(`document.getElementById("live").textContent.startsWith("No answer since")`);
  expect(await text("#monitor")).toContain("quiet");
});
