import { usePeregrine } from "@peregrine/cli/testing";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pathOf } from "../../examples/guests/guests.ts";
import { Browser, CHROMIUM, hasChromium } from "./browser.ts";

const RESULTS = join(
  process.env["PEREGRINE_RESULTS"] ?? join(import.meta.dirname, "..", "results"),
  "dashboard",
);

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** It dirties its memory faster than the bandwidth allows, so a migration lasts until that is changed. */
const GUEST = [pathOf("torture.wasm"), "--name", "web", "--", "--mib", "48", "--rate", "40", "--sweeps", "0"];
const SLOW = "24M";

if (!hasChromium())
  console.warn(`skipped: no Chromium at ${CHROMIUM}; scripts/install-chromium.sh installs it`);

describe.skipIf(!hasChromium())("the dashboard's page", () => {
  const peregrine = usePeregrine();
  let browser: Browser;

  beforeAll(async () => {
    mkdirSync(RESULTS, { recursive: true });
    browser = await Browser.start();
  });

  afterAll(() => browser.close());

  const shows = (what: string): Promise<void> =>
    browser.until(`document.body.innerText.includes(${JSON.stringify(what)})`);

  /** The guests tell of themselves one by one, so what is shown of two may come one after the other. */
  const reads = (selector: string, pattern: RegExp): Promise<void> =>
    browser.until(`${pattern}.test(document.querySelector(${JSON.stringify(selector)})?.innerText)`);

  /** Presses Tab until what has the focus is described so, as somebody does who has no mouse. */
  async function tabTo(name: string): Promise<void> {
    const focused = `(() => {
      const at = document.activeElement;
      return at.labels?.[0]?.innerText ?? at.getAttribute("aria-label") ?? at.innerText;
    })()`;
    for (let presses = 0; presses < 40; presses++) {
      if ((await browser.evaluate<string>(focused)).trim() === name) return;
      await browser.press("Tab");
    }
    throw new Error(`nothing that can be reached with Tab is called ${name}`);
  }

  /** Replaces what is in the field that has the focus. */
  async function retype(value: string): Promise<void> {
    await browser.evaluate("document.activeElement.select()");
    await browser.type(value);
  }

  async function expectAccessible(): Promise<void> {
    await browser.evaluate(AXE);
    const violations = await browser.evaluate<unknown[]>(
      `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
        violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html }) => html.slice(0, 200)) })))`,
    );
    expect(violations).toEqual([]);
  }

  /** How many pixels of a canvas have about the colour of a name in the style sheet. */
  const pixelsOf = (selector: string, name: string): string =>
    `(() => {
      const canvas = document.querySelector(${JSON.stringify(selector)});
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const value = parseInt(getComputedStyle(document.documentElement).getPropertyValue("--${name}").trim().slice(1), 16);
      const colour = [value >> 16, (value >> 8) & 255, value & 255];
      let count = 0;
      for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3] > 100 && colour.every((part, n) => Math.abs(data[at + n] - part) <= 12)) count++;
      }
      return count;
    })()`;

  /** Within the width of the window. */
  const isAsWideAsTheWindow = (): Promise<boolean> =>
    browser.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth");

  test("shows both ends of a migration, which is started, cancelled, limited and completed from there", async () => {
    const dashboard = peregrine.start("dashboard", "127.0.0.1:0");
    const [, url, token] = await dashboard.printed("stderr", /The dashboard is at (\S+)#token=(\S+)/u);
    const source = peregrine.start("run", ...GUEST);
    const [first] = await peregrine.receive("tcp:127.0.0.1:0", "web-2");

    await browser.view({ width: 1360, height: 900 });
    await browser.open(url!);
    await browser.until("document.activeElement?.id === 'token'");
    await expectAccessible();
    await browser.type("certainly-not-the-token");
    await browser.press("Enter");
    await shows("The token is wrong");
    expect(await browser.evaluate("document.querySelectorAll('.guest').length")).toBe(0);
    await browser.type(token!);
    await browser.press("Enter");
    await browser.until("document.querySelectorAll('.guest').length === 2");
    await browser.until("document.querySelector('[aria-current] .pill').innerText === 'running'");
    await reads(".guests", /web-2[^]*awaited[^]*not owner/u);
    await reads("[aria-current]", /^web\n[^]*torture\.wasm[^]*owner/u);
    await reads("#connection", /^Live$/u);

    // From here on with the keyboard alone.
    await tabTo("Destination");
    expect(await browser.evaluate("document.activeElement.value")).toMatch(/^tcp:127\.0\.0\.1:\d+$/u);
    await tabTo("Bandwidth");
    await retype(SLOW);
    await tabTo("Start the migration");
    await browser.press("Enter");
    // What was pressed is gone; the focus is where it can be undone.
    await browser.until("document.activeElement.innerText === 'Cancel'");
    await browser.until("document.querySelectorAll('tbody tr').length >= 2");
    await browser.until("document.querySelector('.heat-map').height > 1");
    await reads(".ends", /Source\nweb\n\s*migrating[^]*Destination\nweb-2\n\s*arriving/u);
    await reads(".verdict", /^(?:Converging|Will not converge|Too early)/u);
    for (const colour of ["sent", "dirty"]) await browser.until(`${pixelsOf(".heat-map", colour)} > 10`);
    await browser.until("document.querySelectorAll('.chart canvas').length === 3");
    await browser.until(`${pixelsOf(".chart canvas", "sent")} > 50`);
    await expectAccessible();
    await browser.screenshot(join(RESULTS, "light.png"));
    await browser.view({ width: 1360, height: 900, dark: true });
    await browser.until("getComputedStyle(document.body).backgroundColor === 'rgb(14, 20, 27)'");
    await expectAccessible();
    await browser.screenshot(join(RESULTS, "dark.png"));
    await browser.view({ width: 390, height: 844, phone: true });
    await browser.until("innerWidth === 390");
    expect(await isAsWideAsTheWindow()).toBe(true);
    await browser.screenshot(join(RESULTS, "phone.png"));
    await browser.view({ width: 1360, height: 900 });

    await tabTo("Cancel");
    await browser.press("Space");
    await shows("Cancelled.");
    expect(await peregrine.report("web")).toMatchObject({
      status: "running",
      migration: { status: "cancelled" },
    });
    await first.finished();
    await browser.until(
      "[...document.querySelectorAll('.guest')].some(({ innerText }) => /web-2[^]*ended/.test(innerText))",
    );

    const [destination] = await peregrine.receive("tcp:127.0.0.1:0", "web-3");
    const awaited = await peregrine.connect("web-3");
    const { "socket-address": sockets } = (await awaited.execute("query-migrate")) as {
      "socket-address": readonly { readonly port: string }[];
    };
    await awaited.close();
    await shows("web-3");
    await tabTo("Destination");
    await retype(`tcp:127.0.0.1:${sockets[0]!.port}`);
    await browser.press("Enter");
    await browser.until("document.querySelector('.ends').innerText.includes('web-3')");
    await tabTo("Bandwidth");
    await retype("");
    await tabTo("Apply the limits");
    await browser.press("Enter");
    await shows("Completed: the guest stood still for");
    await reads(".ends", /web\n\s*moved away[^]*web-3\n\s*running/u);
    await browser.screenshot(join(RESULTS, "completed.png"));
    await source.finished();
    await browser.until("document.querySelector('.guests').innerText.includes('moved away')");
    expect(await peregrine.report("web-3")).toMatchObject({ status: "running", owner: "owner" });
    await destination.kill();
    dashboard.signal("SIGTERM");
    expect((await dashboard.finished()).status).toBe(0);
    await shows("Connecting");
    // The last attempts to connect again fail, as they should.
    const faults = browser.faults.filter(
      (fault) => !fault.includes("ERR_CONNECTION_REFUSED") && !fault.includes("WebSocket connection"),
    );
    expect(faults).toEqual([]);
  });

  test("is served by an agent for its own guest, in the colours that were chosen", async () => {
    const [, tokenFile] = peregrine.tokenFlag();
    const token = readFileSync(tokenFile, "utf8");
    const agent = peregrine.start(
      "run",
      ...GUEST.slice(0, 3),
      "--dashboard",
      "127.0.0.1:0",
      "--monitor-token-file",
      tokenFile,
      ...GUEST.slice(3),
    );
    const [, url] = await agent.printed("stderr", /The dashboard is at (\S+)\n/u);
    expect(url).not.toContain("token");
    await browser.view({ width: 1000, height: 800 });
    await browser.open(`${url!}#token=${token}`);
    await browser.until("document.querySelector('.guest')?.innerText.includes('running')");
    expect(await browser.evaluate("location.href")).toBe(url);
    await reads(".guests", /web[^]*this agent/u);
    await browser.evaluate(
      "(() => { const s = document.querySelector('#theme'); s.value = 'dark'; s.dispatchEvent(new Event('change')); })()",
    );
    await browser.until("getComputedStyle(document.body).backgroundColor === 'rgb(14, 20, 27)'");
    await tabTo("Pause the guest");
    await browser.press("Enter");
    await browser.until("document.querySelector('.guest').innerText.includes('paused')");
    await browser.until("document.activeElement.innerText === 'Let the guest run'");
    await browser.press("Enter");
    await browser.until("document.querySelector('.guest').innerText.includes('running')");
    // It names nothing of the agent's host.
    await tabTo("Destination");
    await browser.type("file:/tmp/guest");
    await browser.press("Enter");
    await shows("A client that comes over the network may name tcp:");
  });
});
