import { PLACE_BYTES } from "@peregrine/protocol";
import type { GatherList, Gathering } from "@peregrine/transport";
import { FakeChannel } from "./fake-channel.ts";

/** Memories lie so far apart in what this channel takes for addresses. */
const APART = 2 ** 40;

/** A channel that gathers what it writes from memories that have made-up addresses. Bytes are read when a write ends. */
export class GatheringChannel extends FakeChannel {
  readonly #memories: ArrayBufferLike[] = [];
  /** Gathered writes so far. */
  gathered = 0;

  gathering(): Promise<Gathering> {
    return Promise.resolve({
      addressOf: (memory) => this.#addressOf(memory),
      write: (list) => this.#gather(list),
    });
  }

  #addressOf({ buffer, byteOffset }: Uint8Array): number {
    if (!this.#memories.includes(buffer)) this.#memories.push(buffer);
    return (this.#memories.indexOf(buffer) + 1) * APART + byteOffset;
  }

  async #gather(list: GatherList): Promise<void> {
    this.gathered++;
    const whole = new Uint8Array(list.length);
    const { vector } = list;
    await this.held(() => {
      const view = new DataView(vector.buffer, vector.byteOffset, vector.length);
      let at = 0;
      for (let entry = 0; entry < vector.length; entry += PLACE_BYTES) {
        const address = Number(view.getBigUint64(entry, true));
        const length = Number(view.getBigUint64(entry + 8, true));
        const memory = this.#memories[Math.floor(address / APART) - 1]!;
        whole.set(new Uint8Array(memory, address % APART, length), at);
        at += length;
      }
      if (at !== whole.length) throw new Error(`the places have ${at} bytes, and ${whole.length} were told`);
      list.advance(whole.length);
      return whole;
    });
  }
}
