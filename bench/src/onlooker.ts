import type { Host, PeregrineProcess } from "@peregrine/e2e/agent-process.ts";
import { Browser } from "@peregrine/e2e/browser.ts";
import { processorSeconds, processTree } from "./process-cost.ts";

/** Seconds of processor time. */
export interface Spent {
  /** Of the process that serves the page. */
  readonly server: number;
  readonly browser: number;
}

/** A dashboard of all agents of a host, and a headless browser that shows it. */
export class Onlooker {
  readonly browser: Browser;
  readonly #server: PeregrineProcess;

  private constructor(server: PeregrineProcess, browser: Browser) {
    this.#server = server;
    this.browser = browser;
  }

  /** Resolves when the page shows so many guests. */
  static async open(host: Host, guests: number): Promise<Onlooker> {
    const server = host.start(["dashboard", "127.0.0.1:0"], "dashboard");
    const [, url] = await server.until("stderr", /The dashboard is at (\S+)/u);
    const browser = await Browser.start();
    try {
      await browser.view({ width: 1360, height: 900 });
      await browser.open(url!);
      await browser.until(`document.querySelectorAll('.guest').length === ${guests}`);
    } catch (error) {
      await browser.close();
      throw error;
    }
    return new Onlooker(server, browser);
  }

  /** Has all of it stand still. It keeps its memory and its connections. */
  freeze(): void {
    for (const pid of this.#pids) process.kill(pid, "SIGSTOP");
  }

  thaw(): void {
    for (const pid of this.#pids) process.kill(pid, "SIGCONT");
  }

  get spent(): Spent {
    return {
      server: processorSeconds(this.#server.child.pid!),
      browser: processTree(this.browser.pid).reduce((sum, pid) => sum + processorSeconds(pid), 0),
    };
  }

  async close(): Promise<void> {
    await this.browser.close();
  }

  get #pids(): readonly number[] {
    return [this.#server.child.pid!, ...processTree(this.browser.pid)];
  }
}
