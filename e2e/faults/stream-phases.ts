/** What a stream is at, in this order. Each begins with the first byte that belongs to it. */
export const PHASES = [
  "connecting",
  "setup",
  "first-pass",
  "later-pass",
  "switchover",
  "device-state",
  "description",
  "after-end",
] as const;

export type Phase = (typeof PHASES)[number];

/** The guest's memory and its drives, each a section with several parts. */
interface Live {
  readonly name: "ram" | "block";
  readonly id: number;
}

type Item =
  /** Everything before the first live section: its length is not needed. */
  | { readonly kind: "setup" }
  | { readonly kind: "section" }
  | { readonly kind: "ram-list"; readonly id: number; left: bigint }
  | { readonly kind: "words"; readonly live: Live; readonly last: boolean }
  | { readonly kind: "devices" }
  | { readonly kind: "description"; readonly left: number }
  /** Behind the stream there are only commands. */
  | { readonly kind: "after-end" };

const WORD = { zero: 2n, page: 8n, end: 16n, continues: 32n, delta: 64n } as const;
const BLOCK_WORD = { chunk: 1n, end: 2n, zero: 8n } as const;
const PAGE_BYTES = 4096;
const CHUNK_BYTES = 1 << 20;
const CATCH_UP = 3;

/** A start section's head behind its id, up to the first flags, which tell it from a name that is somewhere else. */
const LIVE_HEADS = [
  Buffer.from("\x03ram\0\0\0\0\0\0\0\x04", "latin1"),
  Buffer.from("\x05block\0\0\0\0\0\0\0\x01", "latin1"),
];
const HEAD_BYTES = 18;

/** Heads of the commands that are looked for where sections are not parsed, with the length of their payload. */
const COMMAND_HEADS = [
  { code: 2, length: 4 },
  { code: 0x5045, length: 17 },
].map(({ code, length }) => {
  const head = Buffer.from([0x08, 0, 0, 0, 0]);
  head.writeUInt16BE(code, 1);
  head.writeUInt16BE(length, 3);
  return { code, length, head };
});

/** A command of the source. */
export interface SeenCommand {
  readonly code: number;
  readonly payload: Buffer;
}

/**
 * Follows the stream of one of our sources just as far as the harness needs it, in chunks of any size, and with code of
 * its own: what is under test is not what says where the test strikes. What it does not understand ends the phases.
 */
export class StreamPhases {
  /** Bytes so far. */
  offset = 0;
  /** Where the phases that have begun did so. */
  readonly starts = new Map<Phase, number>([["connecting", 0]]);
  /** Behind the vmdescription, once its length is known. */
  end: number | undefined;
  readonly #seen: (command: SeenCommand) => void;
  #item: Item = { kind: "setup" };
  #rest: Buffer = Buffer.alloc(0);
  /** Of what has not come yet and is not looked at. */
  #skip = 0;
  readonly #live = new Map<number, Live["name"]>();
  #highest = -1n;
  /** Up to where commands were looked for, by code. */
  readonly #searched = new Map<number, number>();

  /** @param seen called with each command of the source, or at least with each PING and HAND_OVER. */
  constructor(seen: (command: SeenCommand) => void = () => undefined) {
    this.#seen = seen;
  }

  /** The phase in which so many bytes have come. */
  phaseAt(bytes: number): Phase {
    return PHASES.findLast((phase) => (this.starts.get(phase) ?? Infinity) < bytes) ?? "connecting";
  }

  /** Whether everything up to the end of the vmdescription has come. */
  get complete(): boolean {
    return this.end !== undefined && this.offset >= this.end;
  }

  push(chunk: Uint8Array): void {
    if (this.offset === 0 && chunk.length > 0) this.#enter("setup", 0);
    this.offset += chunk.length;
    const skipped = Math.min(this.#skip, chunk.length);
    this.#skip -= skipped;
    this.#rest = Buffer.concat([this.#rest, chunk.subarray(skipped)]);
    while (this.#step());
    if (this.complete) this.#enter("after-end", this.end!);
  }

  /** @returns false when it has to wait for more. */
  #step(): boolean {
    if (this.#skip > 0) return false;
    const item = this.#item;
    switch (item.kind) {
      case "setup":
        return this.#setup();
      case "section":
        return this.#section();
      case "ram-list":
        return this.#ramList(item);
      case "words":
        return item.live.name === "ram" ? this.#ramWord(item) : this.#blockWord(item);
      case "devices":
        return this.#devices();
      case "description":
        this.#take(item.left);
        this.#item = { kind: "after-end" };
        return true;
      default:
        return this.#rest.length >= 5 && this.#rest[0] === 0x08 && this.#command();
    }
  }

  #setup(): boolean {
    const heads = LIVE_HEADS.map((head) => this.#rest.indexOf(head) - 5).filter((at) => at >= 0);
    const head = heads.length === 0 ? undefined : Math.min(...heads);
    this.#search(head ?? this.#rest.length);
    if (head === undefined) {
      this.#forget(64);
      return false;
    }
    this.#take(head);
    this.#enter("first-pass", this.#at);
    this.#item = { kind: "section" };
    return true;
  }

  /** Finds commands in the part that is not parsed. */
  #search(limit: number): void {
    for (const { code, length, head } of COMMAND_HEADS) {
      for (let at = this.#rest.indexOf(head); at >= 0; at = this.#rest.indexOf(head, at + 1)) {
        const end = at + head.length + length;
        if (end > limit || this.#at + at < (this.#searched.get(code) ?? 0)) continue;
        this.#searched.set(code, this.#at + end);
        this.#seen({ code, payload: this.#rest.subarray(at + head.length, end) });
      }
    }
  }

  #section(): boolean {
    const rest = this.#rest;
    if (rest.length < 5) return false;
    const [type, id] = [rest[0], rest.readUInt32BE(1)];
    switch (type) {
      case 0x08:
        return this.#command();
      case 0x7e:
        this.#take(5);
        return true;
      case 0x01:
        return this.#start(id);
      case 0x02:
      case 0x03:
        return this.#continue(id, type === 0x03);
      default:
        return this.#lost();
    }
  }

  #command(): boolean {
    const rest = this.#rest;
    const length = rest.readUInt16BE(3);
    if (rest.length < 5 + length) return false;
    if (rest.readUInt16BE(1) === 2) {
      if (rest.readUInt32BE(5) === CATCH_UP) this.#enter("switchover", this.#at);
    }
    this.#seen({ code: rest.readUInt16BE(1), payload: rest.subarray(5, 5 + length) });
    this.#take(5 + length);
    return true;
  }

  #start(id: number): boolean {
    const rest = this.#rest;
    if (rest.length < HEAD_BYTES) return false;
    const name = rest.toString("latin1", 6, 6 + rest[5]!);
    if (name !== "ram" && name !== "block") return this.#lost();
    this.#live.set(id, name);
    this.#take(6 + name.length + 8);
    this.#item =
      name === "ram"
        ? { kind: "ram-list", id, left: -1n }
        : { kind: "words", live: { name, id }, last: false };
    return true;
  }

  #continue(id: number, last: boolean): boolean {
    const name = this.#live.get(id);
    if (name === undefined) return this.#lost();
    if (last && name === "ram") this.#enter("switchover", this.#at);
    this.#take(5);
    this.#item = { kind: "words", live: { name, id }, last };
    return true;
  }

  #ramList(item: { readonly id: number; left: bigint }): boolean {
    const rest = this.#rest;
    if (item.left < 0n) {
      if (rest.length < 8) return false;
      item.left = rest.readBigUInt64BE(0) & ~0xfffn;
      this.#take(8);
      return true;
    }
    if (item.left === 0n) {
      this.#item = { kind: "words", live: { name: "ram", id: item.id }, last: false };
      return true;
    }
    if (rest.length < 1 || rest.length < 9 + rest[0]!) return false;
    item.left -= rest.readBigUInt64BE(1 + rest[0]!);
    this.#take(9 + rest[0]!);
    return true;
  }

  #ramWord({ live, last }: { readonly live: Live; readonly last: boolean }): boolean {
    const rest = this.#rest;
    if (rest.length < 8) return false;
    const word = rest.readBigUInt64BE(0);
    if ((word & WORD.end) !== 0n) return this.#sectionEnd(live, last);
    const isPage = (word & (WORD.page | WORD.zero | WORD.delta)) !== 0n;
    if (!isPage) {
      this.#take(8);
      return true;
    }
    const named = (word & WORD.continues) === 0n;
    if (rest.length < 9 || (named && rest.length < 9 + rest[8]! + 3)) return false;
    const head = named ? 9 + rest[8]! : 8;
    const offset = word >> 12n;
    if (offset <= this.#highest && !this.starts.has("switchover")) this.#enter("later-pass", this.#at);
    this.#highest = offset;
    if ((word & WORD.delta) !== 0n) {
      if (rest.length < head + 3) return false;
      this.#take(head + 3 + rest.readUInt16BE(head + 1));
    } else {
      this.#take(head + ((word & WORD.page) === 0n ? 1 : PAGE_BYTES));
    }
    return true;
  }

  #blockWord({ live, last }: { readonly live: Live; readonly last: boolean }): boolean {
    const rest = this.#rest;
    if (rest.length < 9) return false;
    const word = rest.readBigUInt64BE(0);
    if ((word & BLOCK_WORD.end) !== 0n) return this.#sectionEnd(live, last);
    const isChunk = (word & BLOCK_WORD.chunk) !== 0n;
    if (!isChunk) this.#take(8);
    else this.#take(9 + rest[8]! + ((word & BLOCK_WORD.zero) === 0n ? CHUNK_BYTES : 0));
    return true;
  }

  #sectionEnd({ name }: Live, last: boolean): boolean {
    this.#take(8);
    this.#item = { kind: "section" };
    if (!last || name !== "ram") return true;
    this.#enter("device-state", this.#at);
    this.#item = { kind: "devices" };
    return true;
  }

  /** The end mark and the beginning of the vmdescription, which is JSON. */
  #devices(): boolean {
    const rest = this.#rest;
    for (let at = rest.indexOf("\0\x06"); at >= 0; at = rest.indexOf("\0\x06", at + 1)) {
      if (rest.length < at + 7) break;
      if (rest[at + 6] !== 0x7b) continue;
      this.#search(at);
      this.#take(at + 1);
      this.#enter("description", this.#at);
      this.end = this.#at + 5 + rest.readUInt32BE(at + 2);
      this.#item = { kind: "description", left: 5 + rest.readUInt32BE(at + 2) };
      return true;
    }
    this.#search(rest.length);
    this.#forget(64);
    return false;
  }

  #lost(): boolean {
    this.#item = { kind: "devices" };
    return true;
  }

  /** Stream offset of what has not been parsed. */
  get #at(): number {
    return this.offset - this.#rest.length + this.#skip;
  }

  #enter(phase: Phase, at: number): void {
    if (!this.starts.has(phase)) this.starts.set(phase, at);
  }

  #take(bytes: number): void {
    const here = Math.min(bytes, this.#rest.length);
    this.#rest = this.#rest.subarray(here);
    this.#skip += bytes - here;
  }

  #forget(keep: number): void {
    if (this.#rest.length > keep) this.#take(this.#rest.length - keep);
  }
}
