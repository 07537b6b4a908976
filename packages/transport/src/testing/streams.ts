import type { Channel } from "../channel.ts";

/** Fills `target` with the bytes that belong at `position` of an endless test stream without a short period. */
export function fillPattern(target: Uint8Array, position: number): void {
  for (let index = 0; index < target.length; index++) target[index] = patternAt(position + index);
}

function patternAt(position: number): number {
  return Math.imul(position ^ (position >>> 11), 0x9e3779b1) >>> 24;
}

/** Writes `total` bytes of the test stream through two buffers of at most `size` bytes that it uses again and again. */
export async function writePattern(channel: Channel, total: number, size: number): Promise<void> {
  const buffers = [new Uint8Array(size), new Uint8Array(size)] as const;
  const done: [Promise<void>, Promise<void>] = [Promise.resolve(), Promise.resolve()];
  for (let position = 0, turn: 0 | 1 = 0; position < total; turn = turn === 0 ? 1 : 0) {
    await done[turn];
    const bytes = buffers[turn].subarray(0, Math.min(size, total - position));
    fillPattern(bytes, position);
    done[turn] = channel.write(bytes);
    position += bytes.length;
  }
  await Promise.all(done);
}

/** Reads to the end and returns how many bytes of the test stream arrived intact and in order; throws at the first that did not. */
export async function readPattern(channel: Channel, beforeEach?: () => Promise<unknown>): Promise<number> {
  const received = new ReceivedPattern();
  for await (const chunk of channel.read()) {
    await beforeEach?.();
    received.add(chunk);
  }
  return received.length;
}

/** What has come of the test stream. */
export class ReceivedPattern {
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Throws at the first byte that is not the next one. */
  add(chunk: Uint8Array): void {
    const wrong = chunk.findIndex((byte, index) => byte !== patternAt(this.#length + index));
    if (wrong >= 0) throw new Error(`byte ${this.#length + wrong} is wrong`);
    this.#length += chunk.length;
  }
}

/** Reads to the end. */
export async function readAll(channel: Channel): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of channel.read()) chunks.push(chunk.slice());
  return Buffer.concat(chunks);
}
