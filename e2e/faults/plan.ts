import { Random } from "../src/random.ts";
import { Dice } from "./dice.ts";
import { LIE_NAMES } from "./lies.ts";
import type { LieName } from "./lies.ts";
import { FORGERIES } from "./forgeries.ts";
import type { Forgery } from "./forgeries.ts";
import type { Phase } from "./stream-phases.ts";

export type Direction = "forward" | "return";
export type Role = "source" | "destination";

/** Where the fault strikes: before the byte at an offset. */
export type Point =
  /** Bytes of the stream behind the beginning of a phase; at the next phase if the phase is shorter. */
  | { readonly in: "phase"; readonly phase: Phase; readonly offset: number }
  /** Bytes in front of the end of the stream, as far as the vmdescription reaches. */
  | { readonly in: "tail"; readonly before: number }
  /** Bytes of the return path. */
  | { readonly in: "return"; readonly offset: number }
  /** Bytes of the return path that come when the whole stream has been passed on. */
  | { readonly in: "answer"; readonly offset: number }
  /** Bytes of the first connection of multifd. */
  | { readonly in: "channel"; readonly offset: number }
  /** Bytes of a connection whose stream is wrapped, with those of its handshake. */
  | { readonly in: "wrapped"; readonly offset: number }
  /** Bytes of such a connection that come in one direction when the guest stands still for the switchover. */
  | { readonly in: "stopped"; readonly direction: Direction; readonly offset: number };

export type Transport = "tcp" | "unix" | "ws" | "tls";

/** Whether the stream does not go over the connection as it is. */
export function isWrapped(transport: Transport): boolean {
  return transport === "ws" || transport === "tls";
}

/** Whether the fault strikes in what the destination says. */
export function strikesAnswers(point: Point): boolean {
  return (
    point.in === "return" || point.in === "answer" || (point.in === "stopped" && point.direction === "return")
  );
}

export type Fault =
  | { readonly kind: "cut"; readonly how: "reset" | "end" }
  /** Ends one direction; what still comes in it is dropped. */
  | { readonly kind: "half-close"; readonly direction: Direction }
  /** Keeps the connections and passes nothing, for ms or until the run is judged. */
  | { readonly kind: "stall"; readonly direction: Direction | "both"; readonly ms: number | undefined }
  | { readonly kind: "slow"; readonly bytesPerSecond: number }
  /** One byte at a time, for so many bytes, and then pieces of any size. */
  | { readonly kind: "split"; readonly bytes: number }
  | { readonly kind: "corrupt"; readonly mask: number }
  | { readonly kind: "kill"; readonly victim: Role }
  /** Stopped by a signal until the other side has come to its verdict. */
  | { readonly kind: "freeze"; readonly victim: Role }
  | { readonly kind: "cancel" }
  /** Room for so many bytes of the drive where the destination keeps it. */
  | { readonly kind: "disk-full"; readonly room: number }
  /** No room for the records of who has the guest. */
  | { readonly kind: "records-full"; readonly victim: Role }
  /** The harness is the destination. */
  | {
      readonly kind: "false-destination";
      readonly lie: LieName;
      readonly phase: Phase;
      readonly agrees: boolean;
      readonly salt: number;
    }
  /** The harness is the source, and sends a stream that was recorded. */
  | { readonly kind: "false-source"; readonly forgery: Forgery; readonly salt: number };

export type FaultKind = Fault["kind"];

/** What a guest leaves traces in, beside its output. */
export type GuestKind = "plain" | "log" | "drive" | "overlay" | "shared-drive";

/** What a migration sends of its drive: all of it, or what its overlay holds. Undefined: nothing. */
export function sentOf(guest: GuestKind): "all" | "overlay" | undefined {
  if (guest === "drive") return "all";
  return guest === "overlay" ? "overlay" : undefined;
}

export interface Plan {
  readonly seed: number;
  readonly run: number;
  readonly guest: GuestKind;
  readonly fault: Fault;
  readonly point: Point;
  /** Bytes per second; 0 is unlimited. */
  readonly bandwidth: number;
  /** Tolerated downtime, ms. */
  readonly downtime: number;
  readonly capability: "none" | "xbzrle" | "multifd" | "switchover-ack" | "pause-before-switchover";
  readonly transport: Transport;
}

/** Bytes of the drive: the last chunk is not whole. */
export const DRIVE_BYTES = (1 << 20) + 200 * 1024;

/** Runs that follow each other have the same kind of guest, so that it is started once for them. */
export const RUNS_PER_GUEST = 5;

/** Bytes that the end of a stream counts for. */
const TAIL = 2048;
/** More than a return path has in most migrations. */
const RETURN_BYTES = 48;
const ANSWER_BYTES = 24;

/** In what is wrapped: more than a handshake has, and what comes after the guest has stopped. */
const HANDSHAKE_BYTES = 8192;
const STOPPED_BYTES = 4000;
const STOPPED_ANSWER_BYTES = 160;

/** What run `run` of a seed does. The same for the same numbers, whatever ran before. */
export function planRun(seed: number, run: number): Plan {
  const dice = new Dice(new Random(mixed(seed, run)));
  const guest = guestOf(seed, run);
  const fault = drawFault(dice, guest);
  const common = {
    seed,
    run,
    guest,
    fault,
    ...drawPace(dice, guest),
    transport: dice.weighted<Transport>([
      [3, "tcp"],
      [1, "unix"],
    ]),
  };
  const capability = dice.weighted<Plan["capability"]>([
    [13, "none"],
    [2, "xbzrle"],
    [2, "multifd"],
    [2, "switchover-ack"],
    [1, "pause-before-switchover"],
  ]);
  const lies = fault.kind === "false-destination" || fault.kind === "false-source";
  const wrapped = lies || fault.kind === "disk-full" ? undefined : drawWrapped(seed, run);
  if (wrapped !== undefined) return { ...common, ...wrapped };
  return {
    ...common,
    // What is played and recorded has one connection.
    capability: lies && capability === "multifd" ? "none" : capability,
    point: drawPoint(dice, fault, capability === "multifd" && !lies),
  };
}

/**
 * Of every fifth run. Nobody looks into what is wrapped, so the guest pauses before the switchover, and what comes then is
 * counted from there.
 */
function drawWrapped(
  seed: number,
  run: number,
): Pick<Plan, "transport" | "capability" | "point"> | undefined {
  const dice = new Dice(new Random(mixed(seed ^ 0x2545f491, run)));
  if (dice.whole(0, 5) > 0) return undefined;
  const transport = dice.of(["ws", "tls"] as const);
  const capability = "pause-before-switchover";
  const where = dice.weighted<"handshake" | "copy" | Direction>([
    [2, "handshake"],
    [2, "copy"],
    [4, "forward"],
    [4, "return"],
  ]);
  switch (where) {
    case "handshake":
      return { transport, capability, point: { in: "wrapped", offset: dice.whole(0, HANDSHAKE_BYTES) } };
    case "copy":
      return { transport, capability, point: { in: "wrapped", offset: dice.whole(0, 300_000) } };
    default: {
      const offset = dice.whole(0, where === "forward" ? STOPPED_BYTES : STOPPED_ANSWER_BYTES);
      return { transport, capability, point: { in: "stopped", direction: where, offset } };
    }
  }
}

/** With a limit, and little downtime, there are several passes. A drive is dirtied by chunks, too fast for that. */
function drawPace(dice: Dice, guest: GuestKind): Pick<Plan, "bandwidth" | "downtime"> {
  if (sentOf(guest) !== undefined) return { bandwidth: 0, downtime: 300 };
  return {
    bandwidth: dice.weighted([
      [5, 0],
      [3, 16 << 20],
      [2, 6 << 20],
    ]),
    downtime: dice.weighted([
      [3, 5],
      [3, 30],
      [2, 300],
    ]),
  };
}

function guestOf(seed: number, run: number): GuestKind {
  const dice = new Dice(new Random(mixed(seed ^ 0x5bd1e995, Math.floor(run / RUNS_PER_GUEST))));
  return dice.weighted([
    [8, "plain"],
    [6, "log"],
    [2, "drive"],
    [2, "overlay"],
    [2, "shared-drive"],
  ]);
}

function drawFault(dice: Dice, guest: GuestKind): Fault {
  const kind = dice.weighted<FaultKind>([
    [22, "cut"],
    [9, "half-close"],
    [9, "stall"],
    [3, "slow"],
    [6, "split"],
    [12, "corrupt"],
    [15, "kill"],
    [5, "freeze"],
    [4, "cancel"],
    [sentOf(guest) === undefined ? 0 : 20, "disk-full"],
    [5, "records-full"],
    [9, "false-destination"],
    [6, "false-source"],
  ]);
  const direction = dice.of(["forward", "return"] as const);
  const victim = dice.of(["source", "destination"] as const);
  switch (kind) {
    case "cut":
      return { kind, how: dice.of(["reset", "end"]) };
    case "half-close":
      return { kind, direction };
    case "stall":
      return {
        kind,
        direction: dice.of([direction, "both"]),
        ms: dice.of([undefined, dice.whole(50, 1200)]),
      };
    case "slow":
      return { kind, bytesPerSecond: dice.whole(1000, 20_000) };
    case "split":
      return { kind, bytes: dice.whole(20, 3000) };
    case "corrupt":
      return { kind, mask: dice.whole(1, 256) };
    case "kill":
    case "freeze":
    case "records-full":
      return { kind, victim };
    case "disk-full":
      return { kind, room: dice.whole(0, DRIVE_BYTES) };
    case "false-destination":
      return {
        kind,
        lie: dice.of(LIE_NAMES),
        phase: dice.of(["setup", "first-pass", "switchover", "device-state"]),
        agrees: dice.of([true, false]),
        salt: dice.whole(0, 2 ** 31),
      };
    case "false-source":
      return { kind, forgery: dice.of(FORGERIES), salt: dice.whole(0, 2 ** 31) };
    case "cancel":
    default:
      return { kind };
  }
}

/** More than half of them lie where the guest changes hands: in the last bytes of the stream and in the answers. */
function drawPoint(dice: Dice, fault: Fault, multifd: boolean): Point {
  // It is there from the beginning.
  if (fault.kind === "disk-full") return { in: "phase", phase: "connecting", offset: 0 };
  const inPhase = (phase: Phase, most: number): Point => ({
    in: "phase",
    phase,
    offset: dice.whole(0, most),
  });
  const isAnswer = fault.kind === "stall" && fault.direction === "return";
  const where = dice.weighted<Point["in"] | Phase>([
    [isAnswer ? 0 : 4, "connecting"],
    [8, "setup"],
    [9, "first-pass"],
    [7, "later-pass"],
    [8, "switchover"],
    [13, "device-state"],
    [20, "tail"],
    [8, "return"],
    [18, "answer"],
    [6, "after-end"],
    [multifd ? 15 : 0, "channel"],
  ]);
  switch (where) {
    case "connecting":
      return { in: "phase", phase: where, offset: 0 };
    case "setup":
      return inPhase(where, 50_000);
    case "first-pass":
      return inPhase(where, 300_000);
    case "later-pass":
      return inPhase(where, 100_000);
    case "switchover":
      return inPhase(where, 10_000);
    case "device-state":
      return inPhase(where, 1500);
    case "after-end":
      // Often nothing comes behind the end.
      return { in: "phase", phase: where, offset: dice.of([0, dice.whole(0, 16)]) };
    case "tail":
      return { in: where, before: dice.whole(0, TAIL) };
    case "return":
      return { in: where, offset: dice.whole(0, RETURN_BYTES) };
    case "answer":
      return { in: where, offset: dice.whole(0, ANSWER_BYTES) };
    default:
      return { in: "channel", offset: dice.whole(0, 100_000) };
  }
}

/** A seed for each run, none of which is like its neighbours'. */
function mixed(seed: number, run: number): number {
  return Math.imul(seed ^ Math.imul(run + 1, 0x9e3779b1), 0x85ebca6b) >>> 0;
}
