import { MigrationError } from "@peregrine/protocol";
import type { Duplex } from "node:stream";

/**
 * With this protocol of ALPN, which both sides have to know, the side that listens says first whether it accepts the
 * other one: in TLS 1.3 the side that connects would not learn that from the handshake. What follows is the migration.
 */
export const GREETING_PROTOCOL = "peregrine.migration.v1";

const ACCEPTED = 0;
const REFUSED = 1;

/** Bytes of the sentence behind a refusal. */
const MAX_REASON_BYTES = 1000;

const OK = Uint8Array.of(ACCEPTED);

/** One byte, and of a refusal the length of its reason in 16 bits and the reason in UTF-8. */
export function encodeVerdict(refusal: string | undefined): Uint8Array {
  if (refusal === undefined) return OK;
  const reason = Buffer.from(refusal).subarray(0, MAX_REASON_BYTES);
  const head = Buffer.from([REFUSED, 0, 0]);
  head.writeUInt16BE(reason.length, 1);
  return Buffer.concat([head, reason]);
}

/**
 * Reads the verdict, and nothing behind it. @returns the reason of a refusal.
 * Errors: TLS_FAILED when what comes is no verdict, or ends before it is complete; what the stream fails with.
 */
export async function readVerdict(stream: Duplex, peer: string): Promise<string | undefined> {
  const [kind] = await exactly(stream, 1, peer);
  if (kind === ACCEPTED) return undefined;
  if (kind !== REFUSED) throw failure(peer, "it said something that this release does not understand");
  const length = (await exactly(stream, 2, peer)).readUInt16BE();
  if (length === 0 || length > MAX_REASON_BYTES)
    throw failure(peer, "its reason for refusing is too long or missing");
  return (await exactly(stream, length, peer)).toString("utf8");
}

/** Takes what is there: bytes that were left would count as something new each time, and nothing else had its turn. */
async function exactly(stream: Duplex, length: number, peer: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let missing = length; missing > 0;) {
    // With 0 it is asked for more.
    const piece = stream.read(Math.min(missing, stream.readableLength)) as Buffer | null;
    if (piece !== null) {
      pieces.push(piece);
      missing -= piece.length;
    } else if (stream.readableEnded || stream.destroyed) {
      throw failure(
        peer,
        "it ended the connection without saying whether it accepts this side; its log may say why",
      );
    } else {
      await readable(stream);
    }
  }
  return Buffer.concat(pieces);
}

/** Something has come, or nothing will. */
function readable(stream: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error): void => {
      for (const event of ["readable", "end", "close"]) stream.off(event, onEvent);
      stream.off("error", done);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onEvent = (): void => done();
    for (const event of ["readable", "end", "close"]) stream.on(event, onEvent);
    stream.on("error", done);
  });
}

function failure(peer: string, reason: string): MigrationError {
  return new MigrationError("TLS_FAILED", `TLS with '${peer}' failed: ${reason}`);
}
