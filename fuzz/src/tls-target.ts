import { Readable } from "node:stream";
import type { Duplex } from "node:stream";
import * as fc from "fast-check";
import { chunkSizes } from "../../packages/protocol/fuzz/mutation.ts";
import { require, requireKnownCode } from "../../packages/protocol/fuzz/oracle.ts";
import type { Allocations } from "../../packages/protocol/fuzz/oracle.ts";
import { chunked } from "../../packages/protocol/test/support.ts";
import { ProtectedRecords } from "../../packages/transport/src/tls/protected-records.ts";
import { encodeVerdict, readVerdict } from "../../packages/transport/src/tls/verdict.ts";

/** Of a refusal: its kind, and how long its reason is. */
const HEAD_BYTES = 3;
const MOST_REASON_BYTES = 1000;

const length = fc.oneof(fc.constantFrom(0, 1, 999, 1000, 1001, 0x7fff, 0xffff), fc.nat(1200));
const refusal = fc
  .tuple(length, fc.uint8Array({ maxLength: 1200 }))
  .map(([promised, reason]) => Buffer.concat([Buffer.of(1, promised >> 8, promised & 255), reason]));
const said = fc.oneof(
  fc
    .option(fc.string({ maxLength: 2000, unit: "grapheme" }), { nil: undefined })
    .map((reason) => Buffer.from(encodeVerdict(reason))),
  refusal,
  fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
);
const behind = fc.uint8Array({ maxLength: 100 });

/**
 * What a side of TLS says about the other one: it is read to its end and no further, however it is cut, and one that is none
 * is refused, without memory for a length that is too long.
 */
export function verdictProperty(
  allocations: Allocations,
): fc.IPropertyWithHooks<unknown> | fc.IAsyncPropertyWithHooks<unknown> {
  return fc.asyncProperty(said, behind, chunkSizes, async (verdict, rest, sizes) => {
    const bytes = Buffer.concat([verdict, rest]);
    const stream = Readable.from(
      [...chunked(bytes, sizes)].filter((chunk) => chunk.length > 0).map((chunk) => Buffer.from(chunk)),
      { objectMode: false },
    ) as unknown as Duplex;
    stream.on("error", () => undefined);
    allocations.reset();
    const expected = verdictIn(bytes);
    try {
      const reason = await readVerdict(stream, "peer");
      require(expected !== undefined, "a verdict was found that is none");
      require(reason === expected?.reason, "another reason");
      const left: Buffer[] = [];
      for await (const chunk of stream) left.push(chunk as Buffer);
      require(Buffer.concat(left).equals(
        bytes.subarray(expected?.length),
      ), "what is behind a verdict is not all there");
    } catch (error) {
      require(requireKnownCode(error).code === "TLS_FAILED", "a verdict refused for something else");
      require(expected === undefined, "a verdict was refused");
    } finally {
      stream.destroy();
    }
    require(allocations.total <=
      64 * bytes.length + 65_536, `${allocations.total} bytes for ${bytes.length}`);
  });
}

/** The same from the whole of the bytes. */
function verdictIn(
  bytes: Buffer,
): { readonly length: number; readonly reason: string | undefined } | undefined {
  if (bytes[0] === 0) return { length: 1, reason: undefined };
  if (bytes[0] !== 1 || bytes.length < HEAD_BYTES) return undefined;
  const reasonBytes = bytes.readUInt16BE(1);
  const end = HEAD_BYTES + reasonBytes;
  if (reasonBytes === 0 || reasonBytes > MOST_REASON_BYTES || bytes.length < end) return undefined;
  return { length: end, reason: bytes.toString("utf8", HEAD_BYTES, end) };
}

const record = fc
  .tuple(fc.constantFrom(20, 21, 22, 23, 24, 0, 255), length, fc.nat(300))
  .map(([type, promised, sent]) => {
    const contents = Buffer.alloc(Math.min(promised, sent), 23);
    return Buffer.concat([Buffer.of(type, 3, 3, promised >> 8, promised & 255), contents]);
  });
const records = fc.oneof(
  fc.array(record, { maxLength: 8 }).map((parts) => Buffer.concat(parts)),
  fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
);

/** Records of TLS: where the first encrypted one begins is found at the same byte however they are cut. */
export function recordsProperty(allocations: Allocations): fc.IPropertyWithHooks<unknown> {
  return fc.property(records, chunkSizes, (bytes, sizes) => {
    allocations.reset();
    const expected = protectedAt(bytes);
    const finder = new ProtectedRecords();
    let end = 0;
    for (const chunk of chunked(bytes, sizes)) {
      end += chunk.length;
      const found = finder.next(chunk);
      require(found ===
        (expected !== undefined && expected < end), `found by byte ${end}, and it is at ${expected}`);
    }
    require(allocations.total <=
      64 * bytes.length + 65_536, `${allocations.total} bytes for ${bytes.length}`);
  });
}

function protectedAt(bytes: Buffer): number | undefined {
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] === 23) return at;
    if (at + 5 > bytes.length) return undefined;
    at += 5 + bytes.readUInt16BE(at + 3);
  }
  return undefined;
}
