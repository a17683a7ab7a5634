import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vi } from "vitest";

const PROGRAM = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) => existsSync(path));

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--remote-debugging-port=0",
];

type Params = Readonly<Record<string, unknown>>;

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  // biome-ignore lint/suspicious/noExplicitAny: the DevTools protocol has hundreds of shapes
  readonly result?: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly params?: any;
  readonly error?: { readonly message: string };
}

/** Debian's Chromium, headless, spoken to by its DevTools protocol. */
export class Browser implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #socket: WebSocket;
  readonly #folder: string;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly #listeners = new Set<(message: Message) => void>();
  #last = 0;

  private constructor(child: ChildProcess, socket: WebSocket, folder: string) {
    this.#child = child;
    this.#socket = socket;
    this.#folder = folder;
    socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(String(data)) as Message;
      if (message.id !== undefined) this.#waiting.get(message.id)?.(message);
      for (const listener of this.#listeners) listener(message);
    });
  }

  static async start(): Promise<Browser> {
    if (!PROGRAM) throw new Error("chromium is not here. On Debian, as root: apt-get install -y chromium");
    const folder = mkdtempSync(join(tmpdir(), "taskwatch-chromium-"));
    const child = spawn(PROGRAM, [...FLAGS, `--user-data-dir=${folder}`, "about:blank"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const url = await new Promise<string>((resolve, reject) => {
      let text = "";
      child.stderr?.on("data", (chunk: Buffer) => {
        text += chunk.toString();
        const found = /DevTools listening on (ws:\S+)/.exec(text);
        if (found?.[1]) resolve(found[1]);
      });
      child.once("exit", (code) => reject(new Error(`chromium ended with ${code}: ${text}`)));
    });
    const socket = new WebSocket(url);
    await once(socket, "open");
    return new Browser(child, socket, folder);
  }

  /** A page in a profile of its own, at no address yet. */
  async page(): Promise<BrowserPage> {
    const { browserContextId } = await this.send("Target.createBrowserContext", {});
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank", browserContextId });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    return await BrowserPage.of(this, sessionId);
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  async send(method: string, params: Params, sessionId?: string): Promise<any> {
    const id = ++this.#last;
    const answer = new Promise<Message>((resolve) => this.#waiting.set(id, resolve));
    this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId ? { sessionId } : {}) }));
    const { result, error } = await answer;
    this.#waiting.delete(id);
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  on(sessionId: string, listener: (method: string, params: any) => void): void {
    this.#listeners.add((message) => {
      if (message.sessionId === sessionId && message.method) listener(message.method, message.params);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, "exit");
    if (this.#child.exitCode === null) this.#child.kill("SIGKILL");
    await ended;
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

export class BrowserPage {
  /** What the browser complained of: errors of scripts, refusals by the policy, requests that failed. */
  readonly complaints: string[] = [];
  /** Every address that was asked for. */
  readonly requests: string[] = [];
  readonly #browser: Browser;
  readonly #session: string;

  private constructor(browser: Browser, session: string) {
    this.#browser = browser;
    this.#session = session;
  }

  static async of(browser: Browser, session: string): Promise<BrowserPage> {
    const page = new BrowserPage(browser, session);
    browser.on(session, (method, params) => {
      if (method === "Log.entryAdded") page.complaints.push(`${params.entry.text} ${params.entry.url ?? ""}`);
      if (method === "Runtime.exceptionThrown") page.complaints.push(JSON.stringify(params.exceptionDetails));
      if (method === "Network.requestWillBeSent") page.requests.push(params.request.url);
      if (method === "Page.javascriptDialogOpening") page.complaints.push(`a dialog: ${params.message}`);
    });
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await page.send(`${domain}.enable`);
    return page;
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  send(method: string, params: Params = {}): Promise<any> {
    return this.#browser.send(method, params, this.#session);
  }

  /** Resolves when the document and what it needs is there. */
  async open(url: string): Promise<void> {
    const { errorText } = await this.send("Page.navigate", { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
    await this.until(`document.readyState === "complete" && location.href !== "about:blank"`);
  }

  /** The value of an expression, awaited where it is a promise. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever the page says
  async evaluate(expression: string): Promise<any> {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (exceptionDetails) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return result.value;
  }

  /** Resolves when the expression holds in the page. */
  async until(expression: string): Promise<void> {
    await vi.waitFor(
      async () => {
        const value = await this.evaluate(expression).catch(() => false);
        if (!value) throw new Error(`never held: ${expression}\n${await this.text().catch(() => "")}`);
      },
      { timeout: 25_000, interval: 100 },
    );
  }

  text(): Promise<string> {
    return this.evaluate("document.body.innerText");
  }

  async press(key: string, code = key): Promise<void> {
    const enter = key === "Enter" ? { text: "\r", windowsVirtualKeyCode: 13 } : {};
    const tab = key === "Tab" ? { windowsVirtualKeyCode: 9 } : {};
    for (const type of ["keyDown", "keyUp"]) {
      await this.send("Input.dispatchKeyEvent", { type, key, code, ...enter, ...tab });
    }
  }

  async look(width: number, scheme: "light" | "dark" = "light"): Promise<void> {
    const metrics = { width, height: 900, deviceScaleFactor: 1, mobile: width < 600 };
    await this.send("Emulation.setDeviceMetricsOverride", metrics);
    await this.send("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-color-scheme", value: scheme }],
    });
  }

  /** The whole page, however long, as a PNG. */
  async screenshot(file: string): Promise<void> {
    const { data } = await this.send("Page.captureScreenshot", { captureBeyondViewport: true });
    writeFileSync(file, Buffer.from(data, "base64"));
  }
}
