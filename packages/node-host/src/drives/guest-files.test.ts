import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { DRIVES_PATH, DRIVES_ROOT } from "@peregrine/machine-wasm";
import { describe, expect, it } from "vitest";
import { moved } from "../../../machine-wasm/test/wasi-bytes.ts";
import { FDFLAGS, OFLAGS, READ_ONLY, WasiCaller } from "../../../machine-wasm/test/wasi-caller.ts";
import { drive, held, ImageDirectory } from "../../test/drives.ts";
import { guestFiles } from "./guest-files.ts";
import type { NodeDrives } from "./node-drives.ts";

const DRIVES = 3;
const DATA = 4;
const LENGTH = 10;
const SYNC = 16;

interface Guest {
  readonly guest: WasiCaller;
  readonly directory: ImageDirectory;
  readonly drives: NodeDrives;
  readonly image: () => string;
}

async function guestWithDrives(): Promise<Guest> {
  const directory = new ImageDirectory();
  const [file, second] = ["a", "b"].map((id) => directory.make(id, Buffer.from("0123456789")));
  const drives = await held(drive(file!, { id: "a" }), drive(second!, { id: "b" }));
  const preopens = [
    { guestPath: DRIVES_PATH, hostPath: DRIVES_ROOT },
    { guestPath: "/data", hostPath: directory.path },
  ];
  const guest = new WasiCaller({ files: guestFiles(drives.memories), config: { preopens } });
  return { guest, directory, drives, image: () => readFileSync(file!, "latin1") };
}

function seek(guest: WasiCaller, fd: number, offset: bigint, whence: number): bigint {
  const at = guest.alloc(8);
  guest.ok("fd_seek", fd, offset, whence, at);
  return guest.u64(at);
}

/** Type, inode and size. */
function stat(guest: WasiCaller, call: string, ...args: (number | bigint)[]): [number, bigint, bigint] {
  const at = guest.alloc(64);
  guest.ok(call, ...args, at);
  return [guest.bytes[at + 16]!, guest.u64(at + 8), guest.u64(at + 32)];
}

describe("a drive is a file for the guest", () => {
  it("that is read, written and sought in as any other", async () => {
    const { guest, image } = await guestWithDrives();
    const fd = guest.mustOpen(DRIVES, "a");
    expect(guest.read(fd, 4)).toBe("0123");
    expect(guest.write(fd, "xy")).toBe(2);
    expect(seek(guest, fd, -3n, 2)).toBe(7n);
    expect(guest.read(fd, 100)).toBe("789");
    expect(guest.read(fd, 1)).toBe("");
    const count = guest.alloc(4);
    guest.ok("fd_pwrite", fd, ...guest.iovecs(guest.put("P"), guest.put("QR")), 1n, count);
    const buffer = guest.alloc(8);
    guest.ok("fd_pread", fd, ...guest.iovecs([buffer, 3], [buffer + 3, 5]), 0n, count);
    expect([guest.u32(count), guest.text(buffer, 8)]).toEqual([8, "0PQRxy67"]);
    expect(seek(guest, fd, 0n, 1)).toBe(10n);
    for (const call of ["fd_sync", "fd_datasync"]) guest.ok(call, fd);
    expect(image()).toBe("0PQRxy6789");
  });

  it("with the type, the size and an inode of its own", async () => {
    const { guest } = await guestWithDrives();
    const fd = guest.mustOpen(DRIVES, "b");
    expect(stat(guest, "fd_filestat_get", fd)).toEqual([4, 3n, 10n]);
    expect(stat(guest, "path_filestat_get", DRIVES, 1, ...guest.put("a"))).toEqual([4, 2n, 10n]);
    expect(stat(guest, "fd_filestat_get", DRIVES)).toEqual([3, 1n, 0n]);
    const [buffer, used] = [guest.alloc(200), guest.alloc(4)];
    guest.ok("fd_readdir", DRIVES, buffer, 200, 0n, used);
    expect(guest.text(buffer, guest.u32(used)).replaceAll(/[^ab.]/gu, "")).toMatch(/^\.\.\.(ab|ba)$/u);
  });

  it("that respects how it was opened", async () => {
    const { guest, image } = await guestWithDrives();
    const reader = guest.mustOpen(DRIVES, "a", { rights: READ_ONLY });
    expect(guest.write(reader, "x")).toBe("ENOTCAPABLE");
    const synced = guest.mustOpen(DRIVES, "a", { fdflags: SYNC });
    expect(guest.write(synced, "s")).toBe(1);
    expect(image()).toBe("s123456789");
    expect(guest.open(DRIVES, "a", { oflags: OFLAGS.create | OFLAGS.exclusive })).toBe("EEXIST");
    expect(guest.open(DRIVES, "a", { oflags: OFLAGS.directory })).toBe("ENOTDIR");
    guest.mustOpen(DRIVES, "a", { oflags: OFLAGS.create });
    expect(guest.open(DRIVES, "c")).toBe("ENOENT");
    expect(guest.open(DRIVES, "a/x")).toBe("ENOTDIR");
    expect(guest.open(DRIVES, "../a")).toBe("EPERM");
  });
});

describe("a drive keeps its size", () => {
  it("whatever is written at its end", async () => {
    const { guest, image } = await guestWithDrives();
    const fd = guest.mustOpen(DRIVES, "a");
    seek(guest, fd, 8n, 0);
    expect(guest.write(fd, "abcd")).toBe(2);
    expect(guest.write(fd, "e")).toBe("ENOSPC");
    expect(guest.write(fd, "")).toBe(0);
    expect(seek(guest, fd, 1n << 40n, 0)).toBe(1n << 40n);
    expect(guest.write(fd, "e")).toBe("ENOSPC");
    expect(guest.read(fd, 1)).toBe("");
    const appending = guest.mustOpen(DRIVES, "a", { fdflags: FDFLAGS.append });
    expect(guest.write(appending, "e")).toBe("ENOSPC");
    guest.ok("fd_fdstat_set_flags", appending, 0);
    expect(guest.write(appending, "f")).toBe(1);
    expect(image()).toBe("f1234567ab");
  });

  it("although it is truncated or extended", async () => {
    const { guest, image } = await guestWithDrives();
    const fd = guest.mustOpen(DRIVES, "a");
    for (const size of [0n, 9n, 11n]) expect(guest.call("fd_filestat_set_size", fd, size)).toBe("EPERM");
    guest.ok("fd_filestat_set_size", fd, BigInt(LENGTH));
    expect(guest.call("fd_allocate", fd, 5n, 6n)).toBe("EPERM");
    guest.ok("fd_allocate", fd, 5n, 5n);
    expect(guest.open(DRIVES, "a", { oflags: OFLAGS.truncate })).toBe("EPERM");
    expect(guest.call("fd_filestat_set_times", fd, 0n, 0n, 5)).toBe("EPERM");
    expect(image()).toBe("0123456789");
  });
});

it("a read that fails has marked what it had filled", async () => {
  const { guest, directory } = await guestWithDrives();
  const fd = guest.mustOpen(DRIVES, "a");
  truncateSync(directory.file("a"), LENGTH / 2);
  const buffer = guest.alloc(LENGTH);
  const buffers = guest.iovecs([buffer, LENGTH]);
  expect(guest.call("fd_read", fd, ...buffers, guest.alloc(4))).toBe("EIO");
  expect(guest.text(buffer, LENGTH / 2)).toBe("01234");
  expect(guest.control.dirty).toEqual([{ address: buffer, length: LENGTH }]);
});

it("nothing can be made, moved or deleted beside the drives", async () => {
  const { guest, directory } = await guestWithDrives();
  writeFileSync(directory.file("host"), "");
  expect(guest.open(DRIVES, "new", { oflags: OFLAGS.create })).toBe("EPERM");
  expect(guest.path("path_create_directory", DRIVES, "new")).toBe("EPERM");
  expect(guest.path("path_create_directory", DRIVES, "a")).toBe("EEXIST");
  expect(guest.path("path_unlink_file", DRIVES, "a")).toBe("EPERM");
  expect(guest.path("path_unlink_file", DRIVES, "new")).toBe("ENOENT");
  expect(guest.path("path_remove_directory", DRIVES, "a")).toBe("ENOTDIR");
  expect(guest.call("path_symlink", ...guest.put("a"), DRIVES, ...guest.put("new"))).toBe("EPERM");
  const buffer = guest.alloc(8);
  expect(guest.call("path_readlink", DRIVES, ...guest.put("a"), buffer, 8, guest.alloc(4))).toBe("EINVAL");
  const both = (call: string, from: number, fromName: string, to: number, toName: string): string =>
    call === "path_link"
      ? guest.call(call, from, 0, ...guest.put(fromName), to, ...guest.put(toName))
      : guest.call(call, from, ...guest.put(fromName), to, ...guest.put(toName));
  for (const call of ["path_rename", "path_link"]) {
    expect(both(call, DRIVES, "a", DRIVES, "b")).toBe("EPERM");
    expect(both(call, DRIVES, "new", DRIVES, "b")).toBe("ENOENT");
    expect(both(call, DRIVES, "a", DATA, "copy")).toBe("EXDEV");
    expect(both(call, DATA, "host", DRIVES, "a")).toBe("EXDEV");
  }
  expect(both("path_rename", DATA, "host", DATA, "renamed")).toBe("SUCCESS");
  expect(readFileSync(directory.file("renamed"), "utf8")).toBe("");
});

it("what is open goes on after a move, and in another thread of the same process", async () => {
  const { guest, drives, directory } = await guestWithDrives();
  const fd = guest.mustOpen(DRIVES, "b", { fdflags: SYNC });
  const listed = guest.mustOpen(DRIVES, ".", { oflags: OFLAGS.directory, rights: 0x20_4000n });
  const host = guest.mustOpen(DATA, "a");
  guest.read(fd, 3);
  guest.read(host, 5);
  expect(guest.host.unmovable()).toEqual([]);
  const files = guestFiles(drives.memories);
  const state = guest.host.capture();
  for (const there of [
    new WasiCaller({ files, restored: moved(state) }),
    new WasiCaller({ files, restored: state, held: guest.host.held() }),
  ]) {
    expect(there.read(fd, 2)).toBe("34");
    expect(there.read(host, 2)).toBe("56");
    expect(there.write(fd, "!")).toBe(1);
    expect(stat(there, "fd_filestat_get", listed)).toEqual([3, 1n, 0n]);
  }
  expect(readFileSync(directory.file("b"), "latin1")).toBe("01234!6789");
});
