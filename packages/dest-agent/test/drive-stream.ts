import {
  BLOCK_CHUNK_BYTES,
  encodeBlockChunk,
  encodeBlockProgress,
  encodeZeroBlockChunk,
} from "@peregrine/protocol";
import type { ByteWriter } from "@peregrine/protocol";
import { SMALL, stoppedSource } from "./machines.ts";
import { blockSection, TestStream } from "./stream-maker.ts";

/** A chunk of `fill`, padding and all. */
export function putChunk(w: ByteWriter, drive: string, chunk: number, fill: number): void {
  encodeBlockChunk(w, drive, chunk * BLOCK_CHUNK_BYTES, new Uint8Array(BLOCK_CHUNK_BYTES).fill(fill));
}

export function putZeros(w: ByteWriter, drive: string, chunk: number): void {
  encodeZeroBlockChunk(w, drive, chunk * BLOCK_CHUNK_BYTES);
}

export interface DriveRecords {
  readonly part?: (w: ByteWriter) => void;
  readonly end?: (w: ByteWriter) => void;
}

/** The stream of a small guest that brings its drives. */
export async function driveStream({ part, end }: DriveRecords = {}): Promise<TestStream> {
  const { machine } = await stoppedSource(SMALL);
  return withDrives(await TestStream.of(machine), { ...(part && { part }), ...(end && { end }) });
}

export function withDrives(stream: TestStream, { part, end }: DriveRecords): TestStream {
  return new TestStream(
    stream.pieces.flatMap((piece) => {
      if (piece.name === "ram-start") {
        return [
          { name: "block-start", bytes: blockSection("start") },
          piece,
          { name: "block-part", bytes: blockSection("part", part) },
        ];
      }
      if (piece.name !== "ram-end") return [piece];
      const last = blockSection("end", (w) => {
        end?.(w);
        encodeBlockProgress(w, 100);
      });
      return [{ name: "block-end", bytes: last }, piece];
    }),
  );
}
