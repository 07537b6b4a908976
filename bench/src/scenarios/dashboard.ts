import { Host, migrate } from "@peregrine/e2e/agent-process.ts";
import { Browser, CHROMIUM, hasChromium } from "@peregrine/e2e/browser.ts";
import { availableParallelism } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { writeContent } from "../content.ts";
import type { Content } from "../content.ts";
import { startContentGuest } from "../peregrine-guest.ts";
import { processorSeconds, processTree } from "../process-cost.ts";
import type { Row, Scenario } from "../scenario.ts";
import { geometricMean, meanInterval, median } from "../statistics.ts";
import { warmMemory } from "../warm-memory.ts";

const MIB = 1024;

/** How much longer a migration may take that somebody looks at. */
const MOST_SLOWER = 1.03;

const LEAST_FRAMES_PER_SECOND = 30;

/** Moves in which the frames are counted. They hardly differ; total times do, so there may be many more pairs. */
const COUNTED_MOVES = 5;

/** How long agents and the page are given to be done with their start, milliseconds. */
const START_MS = 2000;

/** Nobody looks; the page is open; the page is open, and asked for each frame that the browser can make. */
type Looking = "nobody" | "page" | "counted page";

interface Move {
  /** As the source says it, milliseconds. */
  readonly totalTime: number;
  /** Processor time of what serves the page, and of the browser, as shares of one processor. */
  readonly server: number;
  readonly browser: number;
  readonly framesPerSecond: number;
}

/** Whether looking at a migration slows it down. */
export const dashboard: Scenario = {
  name: "dashboard",
  title: `a program with ${MIB} MiB of random content is moved over TCP, without a bandwidth limit, while the dashboard shows it in a headless browser and while it does not`,
  needsQemu: false,
  run: async ({ directory, pairs, log }) => {
    if (!hasChromium()) {
      log(`left out: no Chromium at ${CHROMIUM}; scripts/install-chromium.sh installs it`);
      return [];
    }
    const content = writeContent(directory, MIB, "random");
    const ratios: number[] = [];
    const shownMoves: Move[] = [];
    const frames: number[] = [];
    for (let n = 0; n < pairs; n++) {
      // The first of a pair would be the one that finds the machine as the last pair has left it.
      const order: readonly Looking[] = n % 2 === 0 ? ["nobody", "page"] : ["page", "nobody"];
      const pair = new Map<Looking, Move>();
      for (const looking of order) pair.set(looking, await move(content, looking));
      const [alone, shown] = [pair.get("nobody")!, pair.get("page")!];
      ratios.push(shown.totalTime / alone.totalTime);
      shownMoves.push(shown);
      log(
        `${alone.totalTime} ms alone, ${shown.totalTime} ms with the page, ${percent(shown.server)} of a processor for the server and ${percent(shown.browser)} for the browser`,
      );
    }
    for (let n = 0; n < Math.min(pairs, COUNTED_MOVES); n++) {
      const { framesPerSecond } = await move(content, "counted page");
      frames.push(framesPerSecond);
      log(`${framesPerSecond.toFixed(0)} frames a second`);
    }
    return rows(ratios, shownMoves, frames);
  },
};

async function move(content: Content, looking: Looking): Promise<Move> {
  await using host = await Host.create();
  const source = await startContentGuest(host, content);
  const { uri } = await host.receive("tcp");
  if (looking === "nobody") {
    await delay(START_MS);
    await warmMemory(content.mib);
    const { status, "total-time": totalTime } = await migrate(source, uri);
    if (status !== "completed") throw new Error(`the migration has ended as ${status}`);
    return { totalTime: totalTime!, server: 0, browser: 0, framesPerSecond: 0 };
  }
  const server = host.start(["dashboard", "127.0.0.1:0"], "dashboard");
  const [, url] = await server.until("stderr", /The dashboard is at (\S+)/u);
  const browser = await Browser.start();
  try {
    await browser.view({ width: 1360, height: 900 });
    await browser.open(url!);
    await browser.until("document.querySelectorAll('.guest').length === 2");
    await delay(START_MS);
    await warmMemory(content.mib);
    const spent = (): { readonly server: number; readonly browser: number } => ({
      server: processorSeconds(server.child.pid!),
      browser: processTree(browser.pid).reduce((sum, pid) => sum + processorSeconds(pid), 0),
    });
    const before = spent();
    if (looking === "counted page") await browser.evaluate(COUNT_FRAMES);
    const start = performance.now();
    const { status, "total-time": totalTime } = await migrate(source, uri);
    const seconds = (performance.now() - start) / 1000;
    if (status !== "completed") throw new Error(`the migration has ended as ${status}`);
    const after = spent();
    const framesPerSecond =
      looking === "page" ? 0 : await browser.evaluate<number>("window.framesPerSecond()");
    await browser.until("document.querySelector('.verdict').innerText.startsWith('Completed')");
    return {
      totalTime: totalTime!,
      server: (after.server - before.server) / seconds,
      browser: (after.browser - before.browser) / seconds,
      framesPerSecond,
    };
  } finally {
    await browser.close();
  }
}

/** Counts the frames from now on until the rate is asked for. */
const COUNT_FRAMES = `(() => {
  const start = performance.now();
  let frames = 0;
  const count = () => { frames++; requestAnimationFrame(count); };
  requestAnimationFrame(count);
  window.framesPerSecond = () => (frames * 1000) / (performance.now() - start);
})()`;

/** One pair tells little: what else the machine does is more than the page takes. */
function meanText(ratios: readonly number[]): string {
  if (ratios.length < 2) return "";
  const [least, most] = meanInterval(ratios).map((bound) => bound.toFixed(3));
  return `the mean of all such pairs is ${geometricMean(ratios).toFixed(3)}, with a certainty of 95 % within ${least} to ${most}; `;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** What one of the processes takes of a processor meanwhile. */
function costRow(process: "server" | "browser", moves: readonly Move[]): Row {
  const shares = moves.map((one) => 100 * one[process]);
  return {
    name: `dashboard.${process}`,
    what: `processor time of the ${process} during the migration, of one processor`,
    figure: median(shares),
    unit: "%",
    samples: shares,
  };
}

/** What both take of all processors: where the migration keeps all of them busy, it has that much less of them. */
function shareRow(moves: readonly Move[]): Row {
  const processors = availableParallelism();
  const shares = moves.map(({ server, browser }) => (100 * (server + browser)) / processors);
  return {
    name: "dashboard.share",
    what: `processor time of server and browser during the migration, of all ${processors} processors`,
    figure: shares.reduce((sum, share) => sum + share, 0) / shares.length,
    unit: "%",
    samples: shares,
    note: "the mean: what is counted in hundredths of a second is coarse for a single move",
  };
}

function rows(ratios: readonly number[], moves: readonly Move[], frames: readonly number[]): readonly Row[] {
  return [
    {
      name: "dashboard.total-time",
      what: "total time, with the page open / without a dashboard",
      figure: median(ratios),
      unit: "ratio",
      target: { atMost: MOST_SLOWER },
      samples: ratios,
      note: `${meanText(ratios)}the process that serves the page and the browser are on the same machine, and are not there otherwise; the browser draws without a graphics processor`,
    },
    {
      name: "dashboard.frames",
      what: "frames a second that the page can show meanwhile",
      figure: median(frames),
      unit: "frames/s",
      target: { atLeast: LEAST_FRAMES_PER_SECOND },
      samples: frames,
      note: "callbacks of requestAnimationFrame in moves of their own: asking for every frame costs more than the page does",
    },
    costRow("server", moves),
    costRow("browser", moves),
    shareRow(moves),
  ];
}
