import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { WebSocket } from "ws";

/** Debian's; PEREGRINE_CHROMIUM names another one. */
export const CHROMIUM = process.env["PEREGRINE_CHROMIUM"] ?? "/usr/bin/chromium";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-extensions",
  "--disable-dev-shm-usage",
  "--hide-scrollbars",
  "--remote-debugging-port=0",
];

/** Longest that anything here may take. Milliseconds. */
const PATIENCE_MS = 20_000;

const POLL_MS = 20;

export function hasChromium(): boolean {
  try {
    accessSync(CHROMIUM, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What the DevTools protocol answers. */
type Answer = Readonly<Record<string, unknown>>;

export interface ViewOptions {
  /** Of the window, in CSS pixels. */
  readonly width: number;
  readonly height: number;
  readonly dark?: boolean;
  readonly phone?: boolean;
}

/** A headless Chromium with one page, driven by its DevTools protocol. */
export class Browser {
  /** What the page has logged as an error, and what it was not allowed to do. */
  readonly faults: string[] = [];
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #pending = new Map<number, PromiseWithResolvers<Answer>>();
  #session: string | undefined;
  #lastId = 0;

  private constructor(child: ChildProcess, profile: string, socket: WebSocket) {
    this.#child = child;
    this.#profile = profile;
    this.#socket = socket;
    socket.on("message", (data: Buffer) => this.#receive(String(data)));
    socket.on("close", () => {
      for (const call of this.#pending.values()) call.reject(new Error("the browser is gone"));
    });
  }

  /** Starts one with an empty profile. */
  static async start(): Promise<Browser> {
    const profile = mkdtempSync(join(tmpdir(), "peregrine-chromium-"));
    const child = spawn(CHROMIUM, [...FLAGS, `--user-data-dir=${profile}`, "about:blank"], {
      stdio: "ignore",
    });
    const socket = new WebSocket(await endpoint(profile, child));
    await once(socket, "open");
    const browser = new Browser(child, profile, socket);
    const { targetInfos } = (await browser.#send("Target.getTargets")) as {
      targetInfos: { readonly type: string; readonly targetId: string }[];
    };
    const { targetId } = targetInfos.find(({ type }) => type === "page")!;
    const { sessionId } = await browser.#send("Target.attachToTarget", { targetId, flatten: true });
    browser.#session = String(sessionId);
    for (const domain of ["Page", "Runtime", "Log"]) await browser.#send(`${domain}.enable`);
    return browser;
  }

  /** Of its first process, which has others. */
  get pid(): number {
    return this.#child.pid!;
  }

  async view({ width, height, dark = false, phone = false }: ViewOptions): Promise<void> {
    await this.#send("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: phone ? 2 : 1,
      mobile: phone,
    });
    const features = [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }];
    await this.#send("Emulation.setEmulatedMedia", { features });
  }

  async open(url: string): Promise<void> {
    await this.#send("Page.navigate", { url });
    await this.until(
      `document.readyState === "complete" && location.href.startsWith(${JSON.stringify(url.split("#")[0])})`,
    );
  }

  /** The value of an expression in the page, as JSON has it. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = (await this.#send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    })) as {
      readonly result: { readonly value?: unknown };
      readonly exceptionDetails?: {
        readonly text: string;
        readonly exception?: { readonly description?: string };
      };
    };
    if (exceptionDetails !== undefined) {
      throw new Error(
        `${exceptionDetails.exception?.description ?? exceptionDetails.text} in ${expression.slice(0, 200)}`,
      );
    }
    return result.value as T;
  }

  /** Waits until an expression is true in the page. */
  async until(expression: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!(await this.evaluate<boolean>(`Boolean(${expression})`))) {
      if (performance.now() > deadline) {
        const text = await this.evaluate<string>("document.body.innerText");
        throw new Error(
          `the page never had ${expression}; it shows ${text}; faults: ${this.faults.join("; ")}`,
        );
      }
      await delay(POLL_MS);
    }
  }

  /** Presses and releases a key, such as `Tab`, `Enter`, `Space` or `ArrowDown`. */
  async press(key: string, shift = false): Promise<void> {
    const text = { Enter: "\r", Space: " " }[key];
    const common = {
      key: key === "Space" ? " " : key,
      code: key,
      windowsVirtualKeyCode: KEY_CODES[key] ?? 0,
      modifiers: shift ? 8 : 0,
    };
    await this.#send("Input.dispatchKeyEvent", {
      ...common,
      ...(text === undefined ? { type: "rawKeyDown" } : { type: "keyDown", text }),
    });
    await this.#send("Input.dispatchKeyEvent", { ...common, type: "keyUp" });
  }

  /** Types into what has the focus. */
  async type(text: string): Promise<void> {
    await this.#send("Input.insertText", { text });
  }

  /** Writes the page as it is, all of it, as a PNG. */
  async screenshot(file: string, whole = true): Promise<void> {
    const { data } = await this.#send("Page.captureScreenshot", {
      format: "png",
      captureBeyondViewport: whole,
    });
    writeFileSync(file, Buffer.from(String(data), "base64"));
  }

  async close(): Promise<void> {
    const gone = once(this.#child, "close");
    await this.#send("Browser.close").catch(() => {});
    const overdue = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await gone;
    clearTimeout(overdue);
    this.#socket.terminate();
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  async #send(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
    const id = ++this.#lastId;
    const call = Promise.withResolvers<Answer>();
    this.#pending.set(id, call);
    const sessionId = this.#session;
    this.#socket.send(
      JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }),
    );
    const overdue = setTimeout(() => call.reject(new Error(`${method} was not answered`)), PATIENCE_MS);
    try {
      return await call.promise;
    } finally {
      clearTimeout(overdue);
      this.#pending.delete(id);
    }
  }

  #receive(text: string): void {
    const message = JSON.parse(text) as {
      readonly id?: number;
      readonly result?: Answer;
      readonly error?: { readonly message: string };
      readonly method?: string;
      readonly params?: Answer;
    };
    if (message.id !== undefined) {
      const call = this.#pending.get(message.id);
      if (message.error === undefined) call?.resolve(message.result ?? {});
      else call?.reject(new Error(message.error.message));
    }
    if (message.method === "Log.entryAdded" || message.method === "Runtime.exceptionThrown") {
      const entry = message.params?.["entry"] as
        | { readonly level?: string; readonly text?: string }
        | undefined;
      if (entry === undefined || entry.level === "error")
        this.faults.push(entry?.text ?? JSON.stringify(message.params));
    }
  }
}

const KEY_CODES: Readonly<Record<string, number>> = {
  Tab: 9,
  Enter: 13,
  Escape: 27,
  Space: 32,
  ArrowRight: 39,
  ArrowDown: 40,
};

/** Chromium writes into its profile where it listens. */
async function endpoint(profile: string, child: ChildProcess): Promise<string> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      const [port, path] = readFileSync(join(profile, "DevToolsActivePort"), "utf8").split("\n");
      if (path !== undefined) return `ws://127.0.0.1:${port}${path}`;
    } catch {
      // Not yet.
    }
    if (child.exitCode !== null) throw new Error(`chromium ended with status ${child.exitCode}`);
    if (performance.now() > deadline) throw new Error("chromium does not start");
    await delay(POLL_MS);
  }
}
