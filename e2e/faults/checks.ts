/** What must be true of the traces that a guest of `guest/counted.c` leaves. Each check returns what is wrong, in words. */

/** What one agent printed. */
export interface Piece {
  readonly agent: string;
  readonly text: string;
}

/** Time in which an agent's guest ran, in ms since 1970; still, without an end. */
export interface RunTime {
  readonly agent: string;
  readonly from: number;
  readonly to: number | undefined;
}

/** What two processes say is not heard at the same distance. Milliseconds. */
const HEARING_TOLERANCE = 100;

/**
 * The output of all agents, in the order in which they had the guest, is every number once. The last line may be on its
 * way. @returns the last number that was printed whole, too.
 */
export function checkOutput(pieces: readonly Piece[]): { readonly last: number; readonly wrong: string[] } {
  const wrong: string[] = [];
  let expected = 1;
  let line = "";
  for (const { agent, text } of pieces) {
    const lines = (line + text).split("\n");
    line = lines.pop()!;
    for (const found of lines) {
      const number = /^\d+$/.test(found) ? Number(found) : Number.NaN;
      if (number === expected) {
        expected++;
        continue;
      }
      wrong.push(`${agent} printed ${describe(found)} where ${expected} was to come`);
      if (wrong.length >= 3) return { last: expected - 1, wrong };
      if (!Number.isNaN(number)) expected = number + 1;
    }
  }
  if (line !== "" && !String(expected).startsWith(line)) {
    wrong.push(`the output ends with ${describe(line)} where ${expected} was to come`);
  }
  return { last: expected - 1, wrong };
}

/** No two agents ran the guest at the same time. */
export function checkRunTimes(times: readonly RunTime[]): string[] {
  const sorted = times.toSorted((a, b) => a.from - b.from);
  return sorted.flatMap((time, n) => {
    const other = sorted.slice(n + 1).find(({ from }) => (time.to ?? Infinity) - from > HEARING_TOLERANCE);
    if (other === undefined) return [];
    const both = Math.min(time.to ?? Infinity, other.to ?? Infinity) - other.from;
    const long = both === Infinity ? "" : ` for ${Math.round(both)} ms`;
    return [`${time.agent} and ${other.agent} ran the guest at the same time${long}`];
  });
}

/**
 * The log has every number once, without a gap. It is written before the number is printed: what was printed is there.
 * @param ahead how many numbers may be in the log that were not printed.
 */
export function checkLog(log: string, printed: number, ahead: number): string[] {
  const { last, wrong } = checkOutput([{ agent: "the log", text: log }]);
  if (wrong.length > 0) return wrong.map((text) => `in the log, ${text}`);
  if (last < printed) return [`the log ends with ${last}, and ${printed} was printed`];
  return last > printed + ahead ? [`the log goes on to ${last}, and the output ends with ${printed}`] : [];
}

const PLACES = 1024;
const RECORD_MAGIC = 0x434e5444;

/**
 * Each place of the drive has the last number that came there, and was written to as often as numbers came there.
 * Numbers up to `printed` have come; `ahead` more may have.
 */
export function checkDrive(image: Buffer, printed: number, ahead: number): string[] {
  const stride = Math.floor(image.length / PLACES);
  for (let place = 0; place < PLACES; place++) {
    const at = place * stride;
    const [magic, number, visits] = [0, 4, 8].map((word) => image.readUInt32LE(at + word)) as [
      number,
      number,
      number,
    ];
    const expected = lastAt(place, printed);
    const isLater = number > printed && number <= printed + ahead && number % PLACES === place;
    if (number !== expected && !isLater) {
      return [
        `place ${place} of the drive has number ${number} where ${expected} was to be, after ${printed} numbers`,
      ];
    }
    if (number === 0) continue;
    if (magic !== RECORD_MAGIC || visits !== Math.floor((number - 1) / PLACES) + 1) {
      return [`place ${place} of the drive was written to ${visits} times by number ${number}`];
    }
  }
  return [];
}

/** The last number up to `last` that comes to a place; 0 for none. */
function lastAt(place: number, last: number): number {
  const number = last - ((((last - place) % PLACES) + PLACES) % PLACES);
  return number > 0 ? number : 0;
}

function describe(line: string): string {
  return JSON.stringify(line.length > 40 ? `${line.slice(0, 40)}...` : line);
}
