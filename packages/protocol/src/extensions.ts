/**
 * What two agents may do beyond QEMU's protocol. A source asks for it with a PING whose value no QEMU uses; one that
 * knows nothing of it answers with the same value, as any PING is answered, and nothing is agreed on. So a source never
 * has to know beforehand who is at the other end, and a destination never sends what its source does not know.
 */
export interface Extensions {
  /** The guest is handed over by an explicit decision of the source. */
  readonly handOver: boolean;
  /** A destination that fails says why. */
  readonly reasons: boolean;
  /** Each side says at least once a second that it lives. */
  readonly alive: boolean;
}

/** What is agreed on with a peer that is no Peregrine. */
export const NO_EXTENSIONS: Extensions = { handOver: false, reasons: false, alive: false };
/** Every extension that this release knows. */
export const ALL_EXTENSIONS: Extensions = { handOver: true, reasons: true, alive: true };

/** High half of a ping that asks, and of the pong that agrees; the low half has a bit for each extension. */
const ASK = 0x5045;
const AGREE = 0x5052;
const BIT = { handOver: 1, reasons: 2, alive: 4 } as const;

/** The value of the PING that asks for `extensions`. */
export function askFor(extensions: Extensions): number {
  return valueOf(ASK, extensions);
}

/** The value of the PONG that agrees to `extensions`. */
export function agreeTo(extensions: Extensions): number {
  return valueOf(AGREE, extensions);
}

/** What the source of a PING asks for; undefined when it is any other ping. */
export function askedFor(ping: number): Extensions | undefined {
  return extensionsOf(ASK, ping);
}

/** What the destination that sent a PONG agrees to; undefined when it is any other pong. */
export function agreedTo(pong: number): Extensions | undefined {
  return extensionsOf(AGREE, pong);
}

/** The extensions that are in both. */
export function both(a: Extensions, b: Extensions): Extensions {
  return {
    handOver: a.handOver && b.handOver,
    reasons: a.reasons && b.reasons,
    alive: a.alive && b.alive,
  };
}

function valueOf(high: number, { handOver, reasons, alive }: Extensions): number {
  const bits = (handOver ? BIT.handOver : 0) | (reasons ? BIT.reasons : 0) | (alive ? BIT.alive : 0);
  return high * 0x1_0000 + bits;
}

/** Bits that are not known here are what a later release asks for, and are not agreed to. */
function extensionsOf(high: number, value: number): Extensions | undefined {
  if (Math.floor(value / 0x1_0000) !== high) return undefined;
  return {
    handOver: (value & BIT.handOver) !== 0,
    reasons: (value & BIT.reasons) !== 0,
    alive: (value & BIT.alive) !== 0,
  };
}
