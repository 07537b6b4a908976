import {
  encodeFooter,
  encodeRamBlockList,
  encodeSectionHeader,
  MULTIFD_HEADER_BYTES,
  MULTIFD_OFFSETS_AT,
  MultifdChannelEncoder,
  RAM_SECTION,
  RamPageEncoder,
} from "@peregrine/protocol";
import type { ByteWriter, MultifdChannelEncoderOptions, MultifdPacket } from "@peregrine/protocol";
import { BLOCKS, RAM_ID } from "./qemu-stream.ts";
import { bytesOf, ramPart } from "./stream-maker.ts";
import type { TestStream } from "./stream-maker.ts";

export const UUID = Uint8Array.from({ length: 16 }, (_, index) => 16 - index);

/** Pages in the order in which a channel sends them; `sync` is where it waits for the others. */
export type ChannelItem =
  | "sync"
  | { readonly page: number; readonly bytes: Uint8Array; readonly block?: string };

export interface ChannelOptions extends Partial<MultifdChannelEncoderOptions> {
  readonly channel?: number;
  readonly uuid?: Uint8Array;
}

/** The bytes of one channel, in pieces: the init message, then a packet for each item. */
export async function channelPieces(
  items: readonly ChannelItem[],
  { channel = 0, uuid = UUID, ...options }: ChannelOptions = {},
): Promise<Uint8Array[]> {
  const encoder = new MultifdChannelEncoder({ layout: "9.0", ...options });
  const pieces = [encoder.init({ channel, uuid }).slice()];
  for (const [packetNumber, item] of items.entries()) {
    const header = Buffer.alloc(MULTIFD_HEADER_BYTES);
    const of: MultifdPacket =
      item === "sync"
        ? { sync: true, packetNumber, block: "", pages: 0, zeroPages: 0 }
        : { sync: false, packetNumber, block: item.block ?? "pc.ram", pages: 1, zeroPages: 0 };
    if (item !== "sync") header.writeBigUInt64BE(BigInt(item.page * 4096), MULTIFD_OFFSETS_AT);
    const payload = await encoder.payload(item === "sync" ? new Uint8Array(0) : item.bytes);
    encoder.header(header, of, payload.length);
    pieces.push(Buffer.concat([header, payload]));
  }
  return pieces;
}

/** How the main stream says where the channels wait for each other. */
export type Meetings = "flush records" | "section ends";

/** The stream without pages of its own, and with so many parts of `ram` between START and END. */
export function mainStream(stream: TestStream, meetings: Meetings, parts = 1): TestStream {
  const flush = (w: ByteWriter): void => {
    if (meetings === "flush records") new RamPageEncoder().multifdFlush(w);
  };
  let main = stream
    .with(
      "ram-start",
      bytesOf((w) => {
        encodeSectionHeader(w, { kind: "start", id: RAM_ID, ...RAM_SECTION });
        encodeRamBlockList(w, BLOCKS);
        flush(w);
        new RamPageEncoder().endOfSection(w);
        encodeFooter(w, RAM_ID);
      }),
    )
    .without("ram-part")
    .with("ram-end", ramPart("end", flush, RAM_ID));
  for (let part = 0; part < parts; part++) main = main.before("switchover", ramPart("part", flush, RAM_ID));
  return main;
}
