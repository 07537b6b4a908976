import fs from "node:fs";
import path from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { FDFLAGS, OFLAGS } from "../../machine-wasm/test/wasi-caller.ts";
import type { WasiCaller } from "../../machine-wasm/test/wasi-caller.ts";
import { create, guestInDirectory, ROOT } from "../test/guest-directory.ts";

const ALL = 0x1fff_ffffn;

function seek(guest: WasiCaller, fd: number, offset: bigint, whence: number): bigint | string {
  const at = guest.alloc(8);
  const errno = guest.call("fd_seek", fd, offset, whence, at);
  return errno === "SUCCESS" ? guest.u64(at) : errno;
}

function fileStat(
  guest: WasiCaller,
  fd: number,
): { type: number; links: bigint; size: bigint; modified: bigint } {
  const at = guest.alloc(64);
  guest.ok("fd_filestat_get", fd, at);
  return {
    type: guest.bytes[at + 16] ?? -1,
    links: guest.u64(at + 24),
    size: guest.u64(at + 32),
    modified: guest.u64(at + 48),
  };
}

/** Lists a directory as wasi-libc does, with a buffer of `length` bytes. */
function list(guest: WasiCaller, fd: number, length = 4096): Map<string, number> {
  const names = new Map<string, number>();
  const buffer = guest.alloc(length);
  const used = guest.alloc(4);
  for (let cookie = 0n; ;) {
    guest.ok("fd_readdir", fd, buffer, length, cookie, used);
    const end = buffer + guest.u32(used);
    let at = buffer;
    while (at + 24 <= end && at + 24 + guest.u32(at + 16) <= end) {
      names.set(guest.text(at + 24, guest.u32(at + 16)), guest.bytes[at + 20] ?? -1);
      cookie = guest.u64(at);
      at += 24 + guest.u32(at + 16);
    }
    if (guest.u32(used) < length) return names;
  }
}

test("the preopened directory is told with its name", () => {
  const { guest } = guestInDirectory();
  const at = guest.alloc(8);
  guest.ok("fd_prestat_get", ROOT, at);
  expect([guest.u32(at), guest.u32(at + 4)]).toEqual([0, 1]);
  const name = guest.alloc(8);
  guest.ok("fd_prestat_dir_name", ROOT, name, 8);
  expect(guest.text(name, 2)).toBe("/\0");
  expect(guest.call("fd_prestat_dir_name", ROOT, name, 0)).toBe("ENAMETOOLONG");
  expect(guest.call("fd_prestat_get", ROOT + 1, at)).toBe("EBADF");
  expect(guest.call("fd_prestat_get", 0, at)).toBe("EBADF");
});

test("create, exclusive, truncate, directory", () => {
  const { guest, directory } = guestInDirectory();
  expect(guest.open(ROOT, "f")).toBe("ENOENT");
  create(guest, "f", "content");
  expect(guest.open(ROOT, "f", { oflags: OFLAGS.create | OFLAGS.exclusive })).toBe("EEXIST");
  expect(guest.open(ROOT, "f", { oflags: OFLAGS.directory })).toBe("ENOTDIR");
  expect(guest.open(ROOT, ".", { oflags: 0 })).toBe("EISDIR");
  expect(guest.open(ROOT, "f", { oflags: 16 })).toBe("EINVAL");
  guest.ok("fd_close", guest.mustOpen(ROOT, "f", { oflags: OFLAGS.create }));
  expect(fs.readFileSync(path.join(directory, "f"), "utf8")).toBe("content");
  guest.ok("fd_close", guest.mustOpen(ROOT, "f", { oflags: OFLAGS.truncate }));
  expect(fs.readFileSync(path.join(directory, "f"), "utf8")).toBe("");
  fs.symlinkSync("nothing", path.join(directory, "dangling"));
  expect(guest.open(ROOT, "dangling", { oflags: OFLAGS.create | OFLAGS.exclusive })).toBe("EEXIST");
  guest.mustOpen(ROOT, "dangling", { oflags: OFLAGS.create });
  expect(fs.existsSync(path.join(directory, "nothing"))).toBe(true);
});

test("reads, writes and seeks keep their place", () => {
  const { guest } = guestInDirectory();
  const fd = guest.mustOpen(ROOT, "f", { oflags: OFLAGS.create });
  expect(guest.write(fd, "0123456789")).toBe(10);
  expect(seek(guest, fd, 0n, 1)).toBe(10n);
  expect(seek(guest, fd, -4n, 2)).toBe(6n);
  expect(guest.read(fd, 3)).toBe("678");
  expect(seek(guest, fd, -100n, 1)).toBe("EINVAL");
  expect(seek(guest, fd, 0n, 3)).toBe("EINVAL");
  expect(seek(guest, fd, 2n, 0)).toBe(2n);
  expect(guest.write(fd, "ab")).toBe(2);
  const tell = guest.alloc(8);
  guest.ok("fd_tell", fd, tell);
  expect(guest.u64(tell)).toBe(4n);
  seek(guest, fd, 0n, 0);
  expect(guest.read(fd, 100)).toBe("01ab456789");
  expect(guest.read(fd, 100)).toBe("");
  seek(guest, fd, 20n, 0);
  expect(guest.read(fd, 5)).toBe("");
  expect(guest.write(fd, "z")).toBe(1);
  expect(fileStat(guest, fd).size).toBe(21n);
});

test("positioned reads and writes leave the place alone", () => {
  const { guest } = guestInDirectory();
  const fd = guest.mustOpen(ROOT, "f", { oflags: OFLAGS.create });
  guest.write(fd, "abcdef");
  const count = guest.alloc(4);
  guest.ok("fd_pwrite", fd, ...guest.iovecs(guest.put("XY")), 2n, count);
  const buffer = guest.alloc(10);
  guest.ok("fd_pread", fd, ...guest.iovecs([buffer, 1], [buffer + 1, 9]), 1n, count);
  expect([guest.u32(count), guest.text(buffer, 5)]).toEqual([5, "bXYef"]);
  expect(seek(guest, fd, 0n, 1)).toBe(6n);
  expect(guest.call("fd_pread", fd, ...guest.iovecs([buffer, 1]), 1n << 63n, count)).toBe("EINVAL");
  expect(guest.call("fd_pwrite", 1, ...guest.iovecs([buffer, 1]), 0n, count)).toBe("ESPIPE");
});

test("what would end behind the largest position is no argument of a read or write", () => {
  const { guest } = guestInDirectory();
  const fd = guest.mustOpen(ROOT, "f", { oflags: OFLAGS.create });
  guest.write(fd, "abc");
  const largest = (1n << 63n) - 1n;
  const count = guest.alloc(4);
  const buffers = guest.iovecs([guest.alloc(16), 15], [guest.alloc(1), 1]);
  for (const name of ["fd_pread", "fd_pwrite"]) {
    for (const position of [largest, largest - 15n])
      expect(guest.call(name, fd, ...buffers, position, count), name).toBe("EINVAL");
    guest.ok(name, fd, ...guest.iovecs(), largest, count);
  }
  guest.ok("fd_pread", fd, ...buffers, largest - 16n, count);
  expect(guest.u32(count)).toBe(0);
  expect(guest.call("fd_pwrite", fd, ...buffers, largest - 16n, count)).toBe("EFBIG");
  expect(seek(guest, fd, largest, 0)).toBe(largest);
  expect(guest.read(fd, 16)).toBe("EINVAL");
  expect(guest.write(fd, "0123456789")).toBe("EINVAL");
  expect(seek(guest, fd, 0n, 1)).toBe(largest);
  seek(guest, fd, 0n, 0);
  expect(guest.read(fd, 16)).toBe("abc");
});

test("a read or write of 2 GiB and more moves what one of Linux does", () => {
  const { guest } = guestInDirectory();
  const fd = guest.mustOpen(ROOT, "f", { oflags: OFLAGS.create });
  guest.write(fd, "0123456789");
  seek(guest, fd, 2n, 0);
  // Most of it is never touched. The caller of other tests would compare all of it.
  guest.memory.buffer = new SharedArrayBuffer(0x8001_0000);
  const [buffers, address, count] = [8, 4096, 0];
  guest.view.setUint32(buffers, address, true);
  guest.view.setUint32(buffers + 4, 0x8000_0000, true);
  expect(guest.host.imports["fd_read"]!(fd, buffers, 1, count)).toBe(0);
  expect([guest.u32(count), guest.text(address, 9)]).toEqual([8, "23456789\0"]);

  const asked: [length: number, position: number][] = [];
  onTestFinished(() => void vi.restoreAllMocks());
  vi.spyOn(fs, "writeSync").mockImplementation(((...args: [number, Uint8Array, number, number, number]) => {
    asked.push([args[3], args[4]]);
    return args[3];
  }) as typeof fs.writeSync);
  expect(guest.host.imports["fd_write"]!(fd, buffers, 1, count)).toBe(0);
  expect([guest.u32(count), asked]).toEqual([0x7fff_f000, [[0x7fff_f000, 10]]]);

  // The same in many buffers, of which the last that is reached is cut off.
  for (let index = 0; index < 3; index++) {
    guest.view.setUint32(buffers + 8 * index, address, true);
    guest.view.setUint32(buffers + 8 * index + 4, 0x5000_0000, true);
  }
  asked.length = 0;
  expect(guest.host.imports["fd_pwrite"]!(fd, buffers, 3, 10n, count)).toBe(0);
  expect(guest.u32(count)).toBe(0x7fff_f000);
  expect(asked).toEqual([
    [0x5000_0000, 10],
    [0x2fff_f000, 0x5000_000a],
  ]);
});

test("appending goes to the end, also when another writer moved it and when it is switched on later", () => {
  const { guest, directory } = guestInDirectory();
  create(guest, "log", "1");
  const fd = guest.mustOpen(ROOT, "log", { fdflags: FDFLAGS.append });
  guest.write(fd, "2");
  fs.appendFileSync(path.join(directory, "log"), "3");
  seek(guest, fd, 0n, 0);
  guest.write(fd, "4");
  expect(seek(guest, fd, 0n, 1)).toBe(4n);
  guest.ok("fd_fdstat_set_flags", fd, 0);
  seek(guest, fd, 0n, 0);
  guest.write(fd, "x");
  guest.ok("fd_fdstat_set_flags", fd, FDFLAGS.append);
  guest.write(fd, "5");
  expect(fs.readFileSync(path.join(directory, "log"), "utf8")).toBe("x2345");
  const at = guest.alloc(24);
  guest.ok("fd_fdstat_get", fd, at);
  expect([guest.bytes[at], guest.bytes[at + 2]]).toEqual([4, 1]);
  expect(guest.call("fd_fdstat_set_flags", fd, 32)).toBe("EINVAL");
});

test("sizes: set, allocate, and what cannot be", () => {
  const { guest } = guestInDirectory();
  const fd = guest.mustOpen(ROOT, "f", { oflags: OFLAGS.create });
  guest.write(fd, "abcdef");
  guest.ok("fd_filestat_set_size", fd, 3n);
  expect(fileStat(guest, fd).size).toBe(3n);
  guest.ok("fd_allocate", fd, 2n, 8n);
  expect(fileStat(guest, fd).size).toBe(10n);
  guest.ok("fd_allocate", fd, 0n, 5n);
  expect(fileStat(guest, fd).size).toBe(10n);
  expect(guest.call("fd_allocate", fd, 0n, 0n)).toBe("EINVAL");
  expect(guest.call("fd_allocate", fd, -1n, 10n)).toBe("EINVAL");
  expect(guest.call("fd_filestat_set_size", fd, -1n)).toBe("EINVAL");
  expect(guest.call("fd_filestat_set_size", ROOT, 0n)).toBe("EBADF");
  guest.ok("fd_advise", fd, 0n, 0n, 3);
  expect(guest.call("fd_advise", fd, 0n, 0n, 6)).toBe("EINVAL");
  guest.ok("fd_sync", fd);
  guest.ok("fd_datasync", fd);
  guest.ok("fd_sync", ROOT);
});

test("times are set as asked, to a microsecond", () => {
  const { guest, directory } = guestInDirectory();
  create(guest, "f");
  const fd = guest.mustOpen(ROOT, "f");
  const wanted = 1_600_000_000_123_456_000n;
  guest.ok("fd_filestat_set_times", fd, 0n, wanted, 4);
  const difference = fileStat(guest, fd).modified - wanted;
  expect(difference < 1000n && difference > -1000n).toBe(true);
  const accessed = fs.statSync(path.join(directory, "f")).atimeMs;
  expect(accessed).toBeGreaterThan(1_600_000_001_000);
  guest.ok("path_filestat_set_times", ROOT, 1, ...guest.put("f"), 5_000_000_000n, 0n, 1);
  expect(fs.statSync(path.join(directory, "f")).atimeMs).toBe(5000);
  guest.ok("path_filestat_set_times", ROOT, 0, ...guest.put("f"), 0n, 0n, 10);
  expect(fs.statSync(path.join(directory, "f")).mtimeMs).toBeGreaterThan(1_600_000_001_000);
  expect(guest.call("fd_filestat_set_times", fd, 0n, 0n, 3)).toBe("EINVAL");
  expect(guest.call("fd_filestat_set_times", fd, 0n, 0n, 12)).toBe("EINVAL");
  expect(guest.call("fd_filestat_set_times", fd, 0n, 0n, 16)).toBe("EINVAL");
});

test("directories are made, listed with any buffer, and removed when empty", () => {
  const { guest, directory } = guestInDirectory();
  guest.ok("path_create_directory", ROOT, ...guest.put("d/"));
  expect(guest.path("path_create_directory", ROOT, "d")).toBe("EEXIST");
  const names = Array.from({ length: 60 }, (_, index) => `entry-${index}-${"x".repeat(index)}`);
  for (const name of names) fs.writeFileSync(path.join(directory, "d", name), "");
  fs.symlinkSync("nowhere", path.join(directory, "d/link"));
  fs.mkdirSync(path.join(directory, "d/sub"));
  const fd = guest.mustOpen(ROOT, "d", { oflags: OFLAGS.directory, rights: ALL });
  for (const length of [110, 300, 65_000]) {
    const found = list(guest, fd, length);
    expect([...found.keys()].sort()).toEqual([".", "..", "link", "sub", ...names].sort());
    expect([found.get("."), found.get("sub"), found.get("link"), found.get("entry-0-")]).toEqual([
      3, 3, 7, 4,
    ]);
  }
  guest.reset();
  expect(guest.path("path_remove_directory", ROOT, "d")).toBe("ENOTEMPTY");
  fs.rmSync(path.join(directory, "d"), { recursive: true });
  expect([...list(guest, fd).keys()]).toEqual([".", ".."]);
  fs.mkdirSync(path.join(directory, "d"));
  guest.ok("path_remove_directory", ROOT, ...guest.put("d/"));
  create(guest, "f");
  expect(guest.path("path_remove_directory", ROOT, "f")).toBe("ENOTDIR");
});

test("unlink", () => {
  const { guest } = guestInDirectory();
  create(guest, "f");
  guest.ok("path_create_directory", ROOT, ...guest.put("d"));
  expect(guest.path("path_unlink_file", ROOT, "d")).toBe("EISDIR");
  expect(guest.path("path_unlink_file", ROOT, "f/")).toBe("ENOTDIR");
  guest.ok("path_unlink_file", ROOT, ...guest.put("f"));
  expect(guest.path("path_unlink_file", ROOT, "f")).toBe("ENOENT");
});

test("rename, with the slashes that may follow a directory", () => {
  const { guest, directory } = guestInDirectory();
  const rename = (from: string, to: string): string =>
    guest.call("path_rename", ROOT, ...guest.put(from), ROOT, ...guest.put(to));
  create(guest, "f", "f");
  create(guest, "g", "g");
  guest.ok("path_create_directory", ROOT, ...guest.put("d"));
  expect(rename("f/", "h")).toBe("ENOTDIR");
  expect(rename("f", "h/")).toBe("ENOTDIR");
  expect(rename("missing", "h")).toBe("ENOENT");
  expect(rename("f", "d")).toBe("EISDIR");
  expect(rename("d", "f")).toBe("ENOTDIR");
  expect(rename("f", "../outside/f")).toBe("EPERM");
  expect(rename("d/", "e/")).toBe("SUCCESS");
  expect(rename("f", "g")).toBe("SUCCESS");
  expect(fs.readFileSync(path.join(directory, "g"), "utf8")).toBe("f");
});

test("hard links", () => {
  const { guest, directory } = guestInDirectory();
  const link = (from: string, to: string, flags = 0): string =>
    guest.call("path_link", ROOT, flags, ...guest.put(from), ROOT, ...guest.put(to));
  create(guest, "f", "f");
  fs.mkdirSync(path.join(directory, "d"));
  fs.symlinkSync("f", path.join(directory, "s"));
  expect(link("f", "g")).toBe("SUCCESS");
  expect(fileStat(guest, guest.mustOpen(ROOT, "g")).links).toBe(2n);
  expect(link("f", "g")).toBe("EEXIST");
  expect(link("f", "d")).toBe("EEXIST");
  expect(link("f", "h/")).toBe("ENOENT");
  expect(link("d", "h")).toBe("EPERM");
  expect(link("s", "s2")).toBe("SUCCESS");
  expect(fs.lstatSync(path.join(directory, "s2")).isSymbolicLink()).toBe(true);
  expect(link("s", "h", 1)).toBe("SUCCESS");
  expect(fs.lstatSync(path.join(directory, "h")).isFile()).toBe(true);
});

test("symbolic links", () => {
  const { guest, directory } = guestInDirectory();
  const symlink = (to: string, name: string): string =>
    guest.call("path_symlink", ...guest.put(to), ROOT, ...guest.put(name));
  const readLink = (name: string, length: number): string => {
    const buffer = guest.alloc(length);
    const used = guest.alloc(4);
    const errno = guest.call("path_readlink", ROOT, ...guest.put(name), buffer, length, used);
    return errno === "SUCCESS" ? guest.text(buffer, guest.u32(used)) : errno;
  };
  expect(symlink("source", "l")).toBe("SUCCESS");
  expect(symlink("/etc/passwd", "abs")).toBe("EPERM");
  expect(symlink("source", "l")).toBe("EEXIST");
  expect(symlink("source", "new/")).toBe("ENOENT");
  fs.mkdirSync(path.join(directory, "d"));
  create(guest, "f");
  expect(symlink("source", "d/")).toBe("EEXIST");
  expect(symlink("source", "f/")).toBe("ENOTDIR");
  expect(readLink("l", 100)).toBe("source");
  expect(readLink("l", 3)).toBe("sou");
  expect(readLink("f", 100)).toBe("EINVAL");
  const at = guest.alloc(64);
  guest.ok("path_filestat_get", ROOT, 0, ...guest.put("l"), at);
  expect(guest.bytes[at + 16]).toBe(7);
  expect(guest.call("path_filestat_get", ROOT, 1, ...guest.put("l"), at)).toBe("ENOENT");
  expect(guest.call("path_filestat_get", ROOT, 2, ...guest.put("l"), at)).toBe("EINVAL");
});

test("descriptors: lowest number first, close, renumber", () => {
  const { guest, directory } = guestInDirectory();
  create(guest, "a", "a");
  create(guest, "b", "b");
  const a = guest.mustOpen(ROOT, "a");
  const b = guest.mustOpen(ROOT, "b");
  expect([a, b]).toEqual([4, 5]);
  guest.ok("fd_renumber", b, a);
  expect(guest.read(a, 5)).toBe("b");
  expect(guest.call("fd_close", b)).toBe("EBADF");
  expect(guest.call("fd_renumber", a, 70)).toBe("EBADF");
  guest.ok("fd_renumber", a, a);
  guest.ok("fd_renumber", a, 1);
  expect(guest.write(1, "into the file")).toBe(13);
  expect(fs.readFileSync(path.join(directory, "b"), "utf8")).toBe("binto the file");
  expect(guest.console.text(1)).toBe("");
  guest.ok("fd_close", ROOT);
  expect(guest.open(ROOT, "a")).toBe("EBADF");
});

test("the table of descriptors has a limit, and a refused open changes nothing", () => {
  const { guest, directory } = guestInDirectory();
  fs.writeFileSync(path.join(directory, "f"), "x");
  let opened = 4;
  for (;;) {
    guest.reset();
    const fd = guest.open(ROOT, "f", { rights: 0x2n });
    if (fd === "EMFILE") break;
    expect(fd).toBe(opened);
    opened += 1;
  }
  expect(opened).toBeLessThanOrEqual(4096);
  expect(guest.open(ROOT, "new", { oflags: OFLAGS.create })).toBe("EMFILE");
  expect(fs.existsSync(path.join(directory, "new"))).toBe(false);
  guest.host.dispose();
});

test("rights: what a descriptor lacks, what a directory passes on, what can only shrink", () => {
  const { guest } = guestInDirectory();
  create(guest, "f", "x");
  guest.ok("path_create_directory", ROOT, ...guest.put("d"));
  const readOnly = guest.mustOpen(ROOT, "f", { rights: 0x2n });
  expect(guest.write(readOnly, "y")).toBe("ENOTCAPABLE");
  expect(seek(guest, readOnly, 0n, 1)).toBe("ENOTCAPABLE");
  const writeOnly = guest.mustOpen(ROOT, "f", { rights: 0x40n });
  expect(guest.read(writeOnly, 1)).toBe("ENOTCAPABLE");
  const READ_AND_OPEN = 0x2002n;
  const narrow = guest.mustOpen(ROOT, "d", {
    oflags: OFLAGS.directory,
    rights: 0x2000n,
    inheriting: READ_AND_OPEN,
  });
  expect(guest.open(narrow, "f", { oflags: OFLAGS.create, rights: 0x2n })).toBe("ENOTCAPABLE");
  expect(guest.open(narrow, "f", { rights: 0x40n })).toBe("ENOTCAPABLE");
  expect(guest.open(narrow, "f", { rights: 0x2n })).toBe("ENOENT");
  expect(guest.path("path_unlink_file", narrow, "f")).toBe("ENOTCAPABLE");
  expect(guest.path("path_unlink_file", readOnly, "f")).toBe("ENOTDIR");
  const at = guest.alloc(24);
  guest.ok("fd_fdstat_get", ROOT, at);
  const [base, inheriting] = [guest.u64(at + 8), guest.u64(at + 16)];
  guest.ok("fd_fdstat_set_rights", ROOT, base & ~(1n << 19n), inheriting & ~(1n << 22n));
  expect(guest.open(ROOT, "f", { oflags: OFLAGS.truncate, rights: 0n })).toBe("EPERM");
  expect(guest.call("fd_fdstat_set_rights", ROOT, base, inheriting)).toBe("ENOTCAPABLE");
});

test("files do not do what only directories do, and the other way round", () => {
  const { guest } = guestInDirectory();
  create(guest, "f");
  const fd = guest.mustOpen(ROOT, "f");
  expect(guest.call("fd_readdir", fd, 1024, 100, 0n, 2048)).toBe("ENOTDIR");
  expect(guest.open(fd, "x")).toBe("ENOTDIR");
  expect(guest.read(ROOT, 1)).toBe("EISDIR");
  expect(guest.write(ROOT, "x")).toBe("EISDIR");
  for (const whence of [0, 1, 2]) expect(seek(guest, ROOT, 0n, whence)).toBe("EBADF");
  expect(guest.call("fd_tell", ROOT, 1024)).toBe("EBADF");
  expect(guest.call("fd_allocate", ROOT, 0n, 1n)).toBe("EBADF");
});
