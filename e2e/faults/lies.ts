import type { Dice } from "./dice.ts";
import type { Phase } from "./stream-phases.ts";

/** What a liar knows when it lies. */
export interface Liar {
  readonly dice: Dice;
  /** Names the migration, once the guest was offered; zeros before. */
  readonly migration: Uint8Array;
}

/** What a destination says, and does, that it should not. */
export interface Lie {
  /** Said when the phase has begun. */
  readonly say: (liar: Liar) => Uint8Array;
  /** What follows. Default: it goes on as it should, and refuses the guest at the end. */
  readonly ending?: "end" | "reset" | "silence";
  /** In which phases it can be told from the truth. Default: all but that behind the end. */
  readonly phases?: readonly Phase[];
  /** Whether the liar has agreed to an explicit hand-over, which the lie is about. Default: either. */
  readonly agrees?: boolean;
}

const TYPE = {
  shut: 1,
  pong: 2,
  requestPagesOf: 3,
  requestPages: 4,
  bitmap: 5,
  resumeAck: 6,
  switchoverAck: 7,
  loaded: 0x5045,
  reason: 0x5047,
} as const;

const NOTHING = new Uint8Array();
const IN_TIME: readonly Phase[] = ["setup", "first-pass", "switchover"];
const BEHIND: readonly Phase[] = ["after-end"];

export const LIES = {
  "taken too early": { say: () => shut(0), phases: IN_TIME },
  refusal: { say: () => shut(1) },
  "unknown type": {
    say: ({ dice }) => message(dice.whole(20, 0x5000), random(dice, dice.whole(0, 16))),
  },
  "type 0": { say: () => message(0, NOTHING) },
  "wrong length": {
    say: ({ dice }) =>
      message(
        dice.of([TYPE.shut, TYPE.pong, TYPE.loaded]),
        random(dice, dice.of([0, 3, 5, 511, 513, 65_535])),
      ),
  },
  "pong for nothing": { say: ({ dice }) => message(TYPE.pong, be32(dice.whole(4, 2 ** 30))) },
  "asks for pages": {
    say: ({ dice }) => message(dice.of([TYPE.requestPages, TYPE.requestPagesOf]), random(dice, 12)),
  },
  "speaks of postcopy": {
    say: ({ dice }) => message(dice.of([TYPE.resumeAck, TYPE.bitmap]), be32(1)),
  },
  "half a message": { say: () => shut(0).subarray(0, 5), ending: "end" },
  noise: { say: ({ dice }) => random(dice, dice.whole(1, 600)) },
  "endless reason": {
    say: ({ dice }) =>
      Buffer.concat(Array.from({ length: 200 }, () => message(TYPE.reason, random(dice, 500)))),
    agrees: true,
  },
  "ends in order": { say: () => NOTHING, ending: "end" },
  "breaks off": { say: () => NOTHING, ending: "reset" },
  silence: { say: () => NOTHING, ending: "silence" },
  "loaded too early": { say: ({ migration }) => loaded(migration), phases: IN_TIME, agrees: true },
  "another guest loaded": { say: ({ dice }) => loaded(random(dice, 16)), phases: BEHIND, agrees: true },
  "taken without being given": { say: () => shut(0), phases: BEHIND, agrees: true },
  "loaded, then refused": {
    say: ({ migration }) => Buffer.concat([loaded(migration), shut(1)]),
    phases: BEHIND,
    agrees: true,
  },
  "loaded twice": {
    say: ({ migration }) => Buffer.concat([loaded(migration), loaded(migration)]),
    phases: BEHIND,
    agrees: true,
  },
  "loaded, then gone": {
    say: ({ migration }) => loaded(migration),
    phases: BEHIND,
    agrees: true,
    ending: "end",
  },
  "loaded, then silent": {
    say: ({ migration }) => loaded(migration),
    phases: BEHIND,
    agrees: true,
    ending: "silence",
  },
} satisfies Record<string, Lie>;

export type LieName = keyof typeof LIES;

export const LIE_NAMES = Object.keys(LIES) as LieName[];

export function pong(value: number): Uint8Array {
  return message(TYPE.pong, be32(value));
}

/** A source takes it whether it waits for it or not. */
export function switchoverAck(): Uint8Array {
  return message(TYPE.switchoverAck, NOTHING);
}

export function shut(status: number): Uint8Array {
  return message(TYPE.shut, be32(status));
}

function loaded(migration: Uint8Array): Uint8Array {
  return message(TYPE.loaded, migration);
}

function message(type: number, payload: Uint8Array): Uint8Array {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

function be32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function random(dice: Dice, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => dice.whole(0, 256));
}
