import { Host, migrate } from "@peregrine/e2e/agent-process.ts";
import type { PeregrineProcess } from "@peregrine/e2e/agent-process.ts";
import { CHROMIUM, hasChromium } from "@peregrine/e2e/browser.ts";
import { availableParallelism } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { writeContent } from "../content.ts";
import type { Content } from "../content.ts";
import { Onlooker } from "../onlooker.ts";
import type { Spent } from "../onlooker.ts";
import { startContentGuest } from "../peregrine-guest.ts";
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

/** How long a page is given that was frozen, milliseconds. */
const THAW_MS = 500;

/** Source and destination. */
const GUESTS = 2;

interface Ready {
  readonly source: PeregrineProcess;
  readonly uri: string;
}

interface Move {
  /** As the source says it, milliseconds. */
  readonly totalTime: number;
  /** What looking at it has taken, as shares of one processor. */
  readonly shares: Spent;
}

/** The same move without and with somebody who looks at it. */
interface Pair {
  readonly alone: Move;
  readonly shown: Move;
}

/** Whether looking at a migration slows it down. */
export const dashboard: Scenario = {
  name: "dashboard",
  title: `a program with ${MIB} MiB of random content is moved over TCP, without a bandwidth limit, while the dashboard shows it in a headless browser, and while browser and dashboard are stopped`,
  needsQemu: false,
  run: async ({ directory, pairs, log }) => {
    if (!hasChromium()) {
      log(`left out: no Chromium at ${CHROMIUM}; scripts/install-chromium.sh installs it`);
      return [];
    }
    const content = writeContent(directory, MIB, "random");
    const measured: Pair[] = [];
    const frames: number[] = [];
    for (let n = 0; n < pairs; n++) {
      const pair = await measurePair(content, n % 2 === 0);
      measured.push(pair);
      const { totalTime, shares } = pair.shown;
      log(
        `${pair.alone.totalTime} ms alone, ${totalTime} ms with the page, ${percent(shares.server)} of a processor for the server and ${percent(shares.browser)} for the browser`,
      );
    }
    for (let n = 0; n < Math.min(pairs, COUNTED_MOVES); n++) {
      const framesPerSecond = await countFrames(content);
      frames.push(framesPerSecond);
      log(`${framesPerSecond.toFixed(0)} frames a second`);
    }
    return rows(measured, frames);
  },
};

/**
 * Two moves as close to each other as they can be: how fast a machine is changes within seconds, and by more than a page
 * takes. So everything is started before them, and the page stands still during the move that it does not show.
 */
async function measurePair(content: Content, isAloneFirst: boolean): Promise<Pair> {
  await using aloneHost = await Host.create();
  await using shownHost = await Host.create();
  const unseen = await prepare(aloneHost, content);
  const seen = await prepare(shownHost, content);
  const onlooker = await Onlooker.open(shownHost, GUESTS);
  const moveAlone = async (): Promise<Move> => {
    onlooker.freeze();
    try {
      return await move(unseen, onlooker);
    } finally {
      onlooker.thaw();
      await delay(THAW_MS);
    }
  };
  const moveShown = async (): Promise<Move> => {
    const shown = await move(seen, onlooker);
    await showsTheEnd(onlooker);
    return shown;
  };
  try {
    await delay(START_MS);
    if (isAloneFirst) return { alone: await moveAlone(), shown: await moveShown() };
    const shown = await moveShown();
    return { alone: await moveAlone(), shown };
  } finally {
    await onlooker.close();
  }
}

/** The rate at which the page can show frames during a move. */
async function countFrames(content: Content): Promise<number> {
  await using host = await Host.create();
  const ready = await prepare(host, content);
  const onlooker = await Onlooker.open(host, GUESTS);
  try {
    await delay(START_MS);
    await warmMemory(MIB);
    await onlooker.browser.evaluate(COUNT_FRAMES);
    await completed(ready);
    const framesPerSecond = await onlooker.browser.evaluate<number>("window.framesPerSecond()");
    await showsTheEnd(onlooker);
    return framesPerSecond;
  } finally {
    await onlooker.close();
  }
}

async function prepare(host: Host, content: Content): Promise<Ready> {
  const source = await startContentGuest(host, content);
  const { uri } = await host.receive("tcp");
  return { source, uri };
}

async function move(ready: Ready, onlooker: Onlooker): Promise<Move> {
  await warmMemory(MIB);
  const before = onlooker.spent;
  const start = performance.now();
  const totalTime = await completed(ready);
  const seconds = (performance.now() - start) / 1000;
  const after = onlooker.spent;
  const shares = {
    server: (after.server - before.server) / seconds,
    browser: (after.browser - before.browser) / seconds,
  };
  return { totalTime, shares };
}

/** The total time of a migration that takes place now, milliseconds. */
async function completed({ source, uri }: Ready): Promise<number> {
  const { status, "total-time": totalTime } = await migrate(source, uri);
  if (status !== "completed") throw new Error(`the migration has ended as ${status}`);
  return totalTime!;
}

async function showsTheEnd({ browser }: Onlooker): Promise<void> {
  await browser.until("document.querySelector('.verdict').innerText.startsWith('Completed')");
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
function costRow(process: keyof Spent, moves: readonly Move[]): Row {
  const shares = moves.map((one) => 100 * one.shares[process]);
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
  const shares = moves.map(({ shares: { server, browser } }) => (100 * (server + browser)) / processors);
  return {
    name: "dashboard.share",
    what: `processor time of server and browser during the migration, of all ${processors} processors`,
    figure: shares.reduce((sum, share) => sum + share, 0) / shares.length,
    unit: "%",
    samples: shares,
    note: "the mean: what is counted in hundredths of a second is coarse for a single move",
  };
}

function rows(pairs: readonly Pair[], frames: readonly number[]): readonly Row[] {
  const ratios = pairs.map(({ alone, shown }) => shown.totalTime / alone.totalTime);
  const moves = pairs.map(({ shown }) => shown);
  return [
    {
      name: "dashboard.total-time",
      what: "total time, with the page open / with page and server stopped",
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
