// One end of a copy over a unix socket that does nothing else: the records of a stream of pages are written from where the pages
// are, and read to where they belong, each end in one call for as many as the system takes. No page is tested, none is expected,
// nothing is counted, and nobody is asked anything: it is as fast as the host's kernel moves such bytes between two processes.
//
// node socket-copy.ts receive PATH MIB, then node socket-copy.ts send PATH MIB FILE. Each says `ready`; the sender begins when a
// line comes, and says how many seconds it took until the receiver had everything.

import { PAGE_RECORD_BYTES, PLACE_BYTES, putPlace, WIRE_PAGE_SIZE, WORD_BYTES } from "@peregrine/protocol";
import koffi from "koffi";
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { hugeMemory } from "./huge-memory.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const MSG_WAITALL = 0x100;
/** As Peregrine asks for. */
const SEND_BUFFER_BYTES = 1 << 20;
/** `struct sockaddr_un`. */
const ADDRESS_BYTES = 110;
/** Places that the kernel takes at once, and the bytes of their records. */
const MOST_PLACES = 1024;
const CALL_BYTES = (MOST_PLACES / 2) * PAGE_RECORD_BYTES;
/** `struct msghdr`: where the places are, and how many. */
const MESSAGE = { bytes: 56, places: 16, count: 24 } as const;

/** Flags of a record that continues a block. */
const PAGE_OF_SAME_BLOCK = 0x28;
const MIB = 1 << 20;

const libc = koffi.load(null);
const openSocket = libc.func("int socket(int domain, int type, int protocol)");
const bind = libc.func("int bind(int socket, void *address, uint length)");
const listen = libc.func("int listen(int socket, int backlog)");
const accept = libc.func("int accept(int socket, void *address, void *length)");
const connect = libc.func("int connect(int socket, void *address, uint length)");
const setOption = libc.func("int setsockopt(int socket, int level, int name, void *value, uint length)");
const writev = libc.func("long writev(int socket, void *places, int count)");
const recvmsg = libc.func("long recvmsg(int socket, void *message, int flags)");

const [role, path, mib, file] = process.argv.slice(2) as [string, string, string, string | undefined];

/** The places of all records, the word and the page of each in turn, cut into what the system takes at once. */
function placesOf(guest: Uint8Array): readonly Uint8Array[] {
  const records = guest.length / WIRE_PAGE_SIZE;
  const words = Buffer.alloc(records * WORD_BYTES);
  const places = new Uint8Array(records * 2 * PLACE_BYTES);
  const vector = new Uint32Array(places.buffer);
  const [wordsAt, guestAt] = [Number(koffi.address(words)), Number(koffi.address(guest))];
  for (let n = 0; n < records; n++) {
    const offset = n * WIRE_PAGE_SIZE;
    words.writeBigUInt64BE(BigInt(offset + PAGE_OF_SAME_BLOCK), n * WORD_BYTES);
    putPlace(vector, 2 * n, wordsAt + n * WORD_BYTES, WORD_BYTES);
    putPlace(vector, 2 * n + 1, guestAt + offset, WIRE_PAGE_SIZE);
  }
  const length = MOST_PLACES * PLACE_BYTES;
  return Array.from({ length: places.length / length }, (_, n) =>
    places.subarray(n * length, (n + 1) * length),
  );
}

function done(result: number, what: string, wanted?: number): number {
  if (result < 0 || (wanted !== undefined && result !== wanted)) {
    throw new Error(`${what} gave ${result}, errno ${koffi.errno()}`);
  }
  return result;
}

function address(): Buffer {
  const bytes = Buffer.alloc(ADDRESS_BYTES);
  bytes.writeUInt16LE(AF_UNIX);
  bytes.write(path, 2);
  return bytes;
}

/** Blocks until everything has come, and says so. */
async function receive(): Promise<void> {
  const parts = placesOf(await hugeMemory(Number(mib)));
  const listener = done(openSocket(AF_UNIX, SOCK_STREAM, 0), "socket");
  done(bind(listener, address(), ADDRESS_BYTES), "bind");
  done(listen(listener, 1), "listen");
  writeSync(1, "ready\n");
  const socket = done(accept(listener, null, null), "accept");
  const message = Buffer.alloc(MESSAGE.bytes);
  for (const places of parts) {
    message.writeBigUInt64LE(koffi.address(places), MESSAGE.places);
    message.writeBigUInt64LE(BigInt(MOST_PLACES), MESSAGE.count);
    done(recvmsg(socket, message, MSG_WAITALL), "recvmsg", CALL_BYTES);
  }
  writeSync(socket, "x");
  waitForEnd();
}

async function send(): Promise<void> {
  const guest = await hugeMemory(Number(mib));
  const content = openSync(file!, "r");
  for (let at = 0; at < guest.length; at += MIB) readSync(content, guest, at, MIB, at);
  closeSync(content);
  const parts = placesOf(guest);
  const socket = done(openSocket(AF_UNIX, SOCK_STREAM, 0), "socket");
  const size = Buffer.alloc(4);
  size.writeInt32LE(SEND_BUFFER_BYTES);
  done(setOption(socket, SOL_SOCKET, SO_SNDBUF, size, size.length), "setsockopt");
  done(connect(socket, address(), ADDRESS_BYTES), "connect");
  writeSync(1, "ready\n");
  readSync(0, Buffer.alloc(1));
  const start = performance.now();
  for (const places of parts) done(writev(socket, places, MOST_PLACES), "writev", CALL_BYTES);
  readSync(socket, Buffer.alloc(1));
  writeSync(1, `${(performance.now() - start) / 1000}\n`);
  waitForEnd();
}

/** Until somebody has looked at the processor time that was used. */
function waitForEnd(): void {
  readSync(0, Buffer.alloc(1));
}

await (role === "receive" ? receive() : send());
