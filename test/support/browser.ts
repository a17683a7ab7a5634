import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { expect } from "vitest";

/** Starts Debian's Chromium, headless. */
export const startBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"],
  });

/** A page in a profile of its own, at no address yet. */
export interface Visit {
  readonly page: Page;
  /** What the browser complained of: errors of scripts, refusals by the policy, requests that failed. */
  readonly complaints: readonly string[];
  /** Every address that was asked for. */
  readonly requests: readonly string[];
  /** Resolves when the expression is true in the page. */
  until(expression: string): Promise<void>;
  /** What a person reads, of the whole page or of a part. */
  text(selector?: string): Promise<string>;
}

export async function visit(browser: Browser, options: BrowserContextOptions = {}): Promise<Visit> {
  const page = await (await browser.newContext(options)).newPage();
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()))
      complaints.push(`${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("dialog", (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => requests.push(request.url()));
  return {
    page,
    complaints,
    requests,
    // The page may be on its way to another address.
    until: (expression) =>
      expect
        .poll(() => page.evaluate(expression).catch(() => false), { timeout: 25_000, message: expression })
        .toBe(true),
    // biome-ignore lint/performance/useDomNodeTextContent: what is hidden is not read
    text: (selector = "body") => page.innerText(selector),
  };
}
