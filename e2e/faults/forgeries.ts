import type { Dice } from "./dice.ts";
import type { Recording } from "./false-destination.ts";
import { PHASES } from "./stream-phases.ts";

export const FORGERIES = [
  "cut short",
  "one byte changed",
  "bytes left out",
  "bytes put in",
  "bytes twice",
  "another magic",
  "another version",
  "unknown command",
  "return path opened twice",
  "many pings",
  "much memory",
  "no answer read",
  "noise behind the end",
  "given before it is loaded",
  "another guest given",
  "never decided",
  "kept",
] as const;

export type Forgery = (typeof FORGERIES)[number];

const [OFFER, GIVE, KEEP] = [1, 2, 3];
const ID_BYTES = 16;

/** What a false source sends, and does then. */
export interface ForgedStream {
  readonly bytes: Buffer;
  readonly ending: "end" | "reset" | "silence";
  /** What is said when the destination has loaded everything. */
  readonly decision?: Buffer;
  /** Whether a destination can tell that this is no stream that it may take. */
  readonly detectable: boolean;
}

/** A recorded stream, changed. */
export function forge({ bytes, phases }: Recording, forgery: Forgery, dice: Dice): ForgedStream {
  const at = place(bytes, phases, dice);
  const ending = dice.of(["end", "reset", "silence"] as const);
  const whole = (changed: Buffer, detectable: boolean): ForgedStream => ({
    bytes: changed,
    ending,
    detectable,
  });
  switch (forgery) {
    case "cut short":
      return whole(bytes.subarray(0, at), true);
    case "one byte changed": {
      const changed = Buffer.from(bytes);
      changed[at]! ^= dice.whole(1, 256);
      return whole(changed, false);
    }
    case "bytes left out":
      return whole(splice(bytes, at, dice.whole(1, 200)), false);
    case "bytes put in":
      return whole(
        splice(
          bytes,
          at,
          0,
          Uint8Array.from({ length: dice.whole(1, 200) }, () => dice.whole(0, 256)),
        ),
        false,
      );
    case "bytes twice":
      return whole(splice(bytes, at, 0, bytes.subarray(at, at + dice.whole(1, 5000))), false);
    case "another magic":
      return whole(splice(bytes, 0, 4, [0x51, 0x45, 0x56, 0x4e]), true);
    case "another version":
      return whole(splice(bytes, 4, 4, [0, 0, 0, dice.of([0, 2, 4, 255])]), true);
    case "unknown command":
      return whole(
        splice(bytes, setupEnd(phases), 0, [8, dice.whole(1, 255), dice.whole(0, 255), 0, 0]),
        true,
      );
    case "return path opened twice":
      return whole(splice(bytes, setupEnd(phases), 0, [8, 0, 1, 0, 0]), true);
    case "many pings":
      return whole(
        splice(
          bytes,
          setupEnd(phases),
          0,
          Array.from({ length: 5000 }, () => [8, 0, 2, 0, 4, 0, 0, 0, 9]).flat(),
        ),
        false,
      );
    case "much memory": {
      // The total in front of the list of blocks.
      const total = bytes.indexOf("\x03ram\0\0\0\0\0\0\0\x04", 0, "latin1") + 12;
      return whole(splice(bytes, total, 8, [0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0, 0x04]), true);
    }
    case "no answer read":
      return { bytes, ending: "silence", detectable: false };
    case "given before it is loaded":
      return whole(Buffer.concat([bytes, handOver(GIVE, offered(bytes))]), true);
    case "another guest given": {
      const decision = handOver(
        GIVE,
        Uint8Array.from({ length: ID_BYTES }, () => dice.whole(0, 256)),
      );
      return { bytes, ending: "silence", decision, detectable: true };
    }
    case "never decided":
      return whole(bytes, true);
    case "kept":
      return { bytes, ending: "silence", decision: handOver(KEEP, offered(bytes)), detectable: true };
    case "noise behind the end":
    default:
      return whole(Buffer.concat([bytes, Uint8Array.from({ length: 20 }, () => dice.whole(0, 256))]), false);
  }
}

/** The name of the migration in the command that offers the guest. */
function offered(bytes: Buffer): Uint8Array {
  const at = bytes.indexOf(handOver(OFFER, new Uint8Array())) + 6;
  return bytes.subarray(at, at + ID_BYTES);
}

function handOver(step: number, migration: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.from([8, 0x50, 0x45, 0, 1 + ID_BYTES, step]), migration]);
}

/** More often at the end than in the memory of the guest, where one byte is like another. */
function place(bytes: Buffer, phases: Recording["phases"], dice: Dice): number {
  const phase = dice.of(PHASES.slice(1, -1));
  const start = phases.starts.get(phase) ?? 0;
  const next = PHASES.slice(PHASES.indexOf(phase) + 1).find((later) => phases.starts.has(later));
  const end = (next === undefined ? undefined : phases.starts.get(next)) ?? bytes.length;
  return Math.min(bytes.length - 1, dice.whole(start, Math.max(start + 1, end)));
}

function setupEnd(phases: Recording["phases"]): number {
  return phases.starts.get("first-pass") ?? 8;
}

function splice(bytes: Buffer, at: number, remove: number, put: ArrayLike<number> = []): Buffer {
  return Buffer.concat([bytes.subarray(0, at), Uint8Array.from(put), bytes.subarray(at + remove)]);
}
