// One end of a copy over a unix socket that does nothing else: the records of a stream of pages are written from where the pages
// are, and read to where they belong, each end in one call for as many as the system takes. No page is tested, none is expected,
// nothing is counted, and nobody is asked anything: it is as fast as the host's kernel moves such bytes between two processes.
//
// node socket-copy.ts receive PATH MIB, then node socket-copy.ts send PATH MIB FILE. Each says `ready`; the sender begins when a
// line comes, and says how many seconds it took until the receiver had everything.

import { adviseHugePages } from "@peregrine/host-memory";
import koffi from "koffi";
import { closeSync, openSync, readSync, writeSync } from "node:fs";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const MSG_WAITALL = 0x100;
/** As Peregrine asks for. */
const SEND_BUFFER_BYTES = 1 << 20;
/** `struct sockaddr_un`. */
const ADDRESS_BYTES = 110;
/** `struct iovec`, and how many the system takes at once. */
const PLACE_BYTES = 16;
const MOST_PLACES = 1024;
/** `struct msghdr`: where the places are, and how many. */
const MESSAGE = { bytes: 56, places: 16, count: 24 } as const;

const PAGE_BYTES = 4096;
const WORD_BYTES = 8;
const MIB = 1 << 20;
/** Pages of WebAssembly in a MiB. */
const WASM_PAGES = 16;

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

/** A guest's memory, in huge pages as guests have it. */
async function guestMemory(): Promise<Uint8Array> {
  const pages = Number(mib) * WASM_PAGES;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  await adviseHugePages(bytes);
  return bytes;
}

/** The places of all records, the word and the page of each in turn, cut into what the system takes at once. */
function placesOf(guest: Uint8Array): readonly Uint8Array[] {
  const records = guest.length / PAGE_BYTES;
  const words = Buffer.alloc(records * WORD_BYTES);
  const places = Buffer.alloc(records * 2 * PLACE_BYTES);
  const [wordsAt, guestAt] = [koffi.address(words), koffi.address(guest)];
  for (let n = 0; n < records; n++) {
    const entry = n * 2 * PLACE_BYTES;
    words.writeBigUInt64BE(BigInt(n * PAGE_BYTES), n * WORD_BYTES);
    places.writeBigUInt64LE(wordsAt + BigInt(n * WORD_BYTES), entry);
    places.writeBigUInt64LE(BigInt(WORD_BYTES), entry + 8);
    places.writeBigUInt64LE(guestAt + BigInt(n * PAGE_BYTES), entry + PLACE_BYTES);
    places.writeBigUInt64LE(BigInt(PAGE_BYTES), entry + PLACE_BYTES + 8);
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

const CALL_BYTES = (MOST_PLACES / 2) * (WORD_BYTES + PAGE_BYTES);

/** Blocks until everything has come, and says so. */
async function receive(): Promise<void> {
  const parts = placesOf(await guestMemory());
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
  const guest = await guestMemory();
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
