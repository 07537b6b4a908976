import fs from "node:fs";
import path from "node:path";
import { WasiHost } from "@peregrine/machine-wasm";
import { expect, test } from "vitest";
import { moved } from "../../machine-wasm/test/wasi-bytes.ts";
import { FDFLAGS, OFLAGS, WasiCaller } from "../../machine-wasm/test/wasi-caller.ts";
import { create, guestInDirectory, openDescriptors, ROOT } from "../test/guest-directory.ts";
import { NodeFiles } from "./host-files.ts";

const ALL = 0xfff_ffffn;

function move(guest: WasiCaller): WasiCaller {
  const state = moved(guest.host.capture());
  guest.host.dispose();
  return new WasiCaller({ files: new NodeFiles(), restored: state });
}

test("open files go on at their places, with their numbers, flags and rights", () => {
  const { guest, directory } = guestInDirectory();
  create(guest, "f", "0123456789");
  const reader = guest.mustOpen(ROOT, "f", { rights: 0x2n });
  guest.mustOpen(ROOT, "f");
  const log = guest.mustOpen(ROOT, "log", { oflags: OFLAGS.create, fdflags: FDFLAGS.append });
  guest.read(reader, 4);
  guest.write(log, "before ");
  guest.ok("fd_close", 5);
  const there = move(guest);
  expect(there.read(reader, 3)).toBe("456");
  expect(there.write(reader, "x")).toBe("ENOTCAPABLE");
  fs.appendFileSync(path.join(directory, "log"), "between ");
  there.write(log, "after");
  expect(fs.readFileSync(path.join(directory, "log"), "utf8")).toBe("before between after");
  expect(there.mustOpen(ROOT, "f")).toBe(5);
});

test("a file opened to be created or truncated is neither again", () => {
  const { guest, directory } = guestInDirectory();
  const fd = guest.mustOpen(ROOT, "f", { oflags: OFLAGS.create | OFLAGS.exclusive });
  const other = guest.mustOpen(ROOT, "f", { oflags: OFLAGS.truncate });
  guest.write(fd, "kept");
  const there = move(guest);
  expect(there.read(other, 10)).toBe("kept");
  fs.rmSync(path.join(directory, "f"));
  expect(() => move(there)).toThrow(expect.objectContaining({ code: "DEVICE_STATE" }));
  expect(fs.existsSync(path.join(directory, "f"))).toBe(false);
});

test("what is open may have been renamed by the guest, or a directory above it", () => {
  const { guest } = guestInDirectory();
  guest.ok("path_create_directory", ROOT, ...guest.put("d"));
  create(guest, "d/f", "content");
  const file = guest.mustOpen(ROOT, "d/f");
  const sub = guest.mustOpen(ROOT, "d", { oflags: OFLAGS.directory, rights: ALL, inheriting: ALL });
  guest.ok("path_rename", ROOT, ...guest.put("d"), ROOT, ...guest.put("e"));
  guest.ok("path_rename", sub, ...guest.put("f"), ROOT, ...guest.put("g"));
  expect(guest.host.unmovable()).toEqual([]);
  const there = move(guest);
  expect(there.read(file, 10)).toBe("content");
  expect(there.open(sub, "f")).toBe("ENOENT");
  expect(there.open(ROOT, "e", { rights: 0n })).toBeTypeOf("number");
});

test("a listing that was begun goes on without losing or doubling an entry", () => {
  const { guest, directory } = guestInDirectory();
  const names = Array.from({ length: 50 }, (_, index) => `file-${index}`);
  for (const name of names) fs.writeFileSync(path.join(directory, name), "");
  let here = guest;
  const seen: string[] = [];
  const used = here.alloc(4);
  const buffer = here.alloc(64);
  for (let cookie = 0n; ; here = move(here)) {
    here.ok("fd_readdir", ROOT, buffer, 64, cookie, used);
    if (here.u32(used) < 24) break;
    seen.push(here.text(buffer + 24, here.u32(buffer + 16)));
    cookie = here.u64(buffer);
  }
  expect(seen.sort()).toEqual([".", "..", ...names].sort());
});

test("a closed or renumbered preopened directory arrives as it was", () => {
  const { guest } = guestInDirectory();
  create(guest, "f", "x");
  const fd = guest.mustOpen(ROOT, "f");
  guest.ok("fd_renumber", ROOT, fd);
  const there = move(guest);
  expect(there.open(ROOT, "f")).toBe("EBADF");
  expect(there.open(fd, "f")).toBe(ROOT);
  there.ok("fd_prestat_get", fd, there.alloc(8));
});

test("an unlinked or replaced file cannot move; both sides say so", () => {
  const { guest, directory } = guestInDirectory();
  create(guest, "unlinked", "x");
  create(guest, "replaced", "x");
  create(guest, "fine", "x");
  fs.mkdirSync(path.join(directory, "d"));
  for (const name of ["unlinked", "replaced", "fine"]) guest.mustOpen(ROOT, name);
  guest.mustOpen(ROOT, "d", { oflags: OFLAGS.directory, rights: ALL });
  guest.ok("path_unlink_file", ROOT, ...guest.put("unlinked"));
  fs.renameSync(path.join(directory, "replaced"), path.join(directory, "old"));
  fs.writeFileSync(path.join(directory, "replaced"), "another");
  fs.rmdirSync(path.join(directory, "d"));
  const reasons = guest.host.unmovable();
  expect(reasons.map((reason) => reason.split(" ").slice(0, 3).join(" "))).toEqual([
    "descriptor 4, /unlinked",
    "descriptor 5, /replaced",
    "descriptor 7, /d",
  ]);
  expect(reasons[0]).toContain(path.join(directory, "unlinked"));
  const state = moved(guest.host.capture());
  expect(() => WasiHost.check(state, new NodeFiles())).toThrow(
    /descriptor 4, \/unlinked .*; descriptor 5, \/replaced .*; descriptor 7, \/d /,
  );
  expect(guest.read(4, 10)).toBe("x");
});

test("everything that is missing at the destination is told at once, and nothing stays open", () => {
  const { guest, directory } = guestInDirectory();
  for (const name of ["gone", "short", "directory", "link", "fine"]) {
    create(guest, name, "12345");
    guest.mustOpen(ROOT, name);
  }
  const state = moved(guest.host.capture());
  guest.host.dispose();
  const at = (name: string): string => path.join(directory, name);
  fs.rmSync(at("gone"));
  fs.truncateSync(at("short"), 2);
  fs.rmSync(at("directory"));
  fs.mkdirSync(at("directory"));
  fs.rmSync(at("link"));
  fs.symlinkSync("fine", at("link"));
  const before = openDescriptors();
  const check = (): void => WasiHost.check(state, new NodeFiles());
  expect(check).toThrow(expect.objectContaining({ code: "DEVICE_STATE", section: "wasi" }));
  expect(check).toThrow(`descriptor 4, /gone (${at("gone")} on the host), does not exist`);
  expect(check).toThrow("short on the host), has 2 bytes here and had 5 at the source");
  expect(check).toThrow("directory on the host), is a directory and was a file at the source");
  expect(check).toThrow("link on the host), is a symbolic link and was none at the source");
  expect(check).not.toThrow("fine");
  expect(() => new WasiCaller({ files: new NodeFiles(), restored: state })).toThrow("does not exist");
  expect(openDescriptors()).toBe(before);
});

test("a missing preopened directory is one problem, not one for each file in it", () => {
  const { guest, directory } = guestInDirectory();
  create(guest, "f");
  guest.mustOpen(ROOT, "f");
  const state = moved(guest.host.capture());
  fs.renameSync(directory, `${directory}-elsewhere`);
  expect(() => WasiHost.check(state, new NodeFiles())).toThrow(
    `the guest's files are not as they were at the source: directory / (${directory} here) does not exist; make`,
  );
  const elsewhere = (): string => `${directory}-elsewhere`;
  WasiHost.check(state, new NodeFiles(), elsewhere);
  const there = new WasiCaller({ files: new NodeFiles(), restored: state, resolvePreopen: elsewhere });
  expect(there.open(ROOT, "f")).toBe(5);
  expect(() => WasiHost.check(state, new NodeFiles(), () => undefined)).toThrow("is not allowed here");
});

test("a link at the destination does not lead a guest that arrives out of its directory", () => {
  const { guest, directory } = guestInDirectory();
  fs.mkdirSync(path.join(directory, "d"));
  create(guest, "d/secret", "public");
  guest.mustOpen(ROOT, "d/secret");
  const state = moved(guest.host.capture());
  fs.rmSync(path.join(directory, "d"), { recursive: true });
  fs.symlinkSync("../outside", path.join(directory, "d"));
  expect(() => WasiHost.check(state, new NodeFiles())).toThrow("cannot be opened (EPERM)");
});

test("a successful check closes what it opened, and so does dispose", () => {
  const before = openDescriptors();
  const { guest } = guestInDirectory();
  create(guest, "f");
  guest.mustOpen(ROOT, "f");
  const state = moved(guest.host.capture());
  guest.host.dispose();
  WasiHost.check(state, new NodeFiles());
  expect(openDescriptors()).toBe(before);
});

test("another thread of this process takes over open files, deleted ones too, and opens its own", () => {
  const { guest, directory } = guestInDirectory();
  create(guest, "deleted", "0123456789");
  create(guest, "log", "");
  const deleted = guest.mustOpen(ROOT, "deleted");
  const log = guest.mustOpen(ROOT, "log", { fdflags: FDFLAGS.append });
  guest.mustOpen(ROOT, ".", { oflags: OFLAGS.directory, rights: ALL });
  guest.read(deleted, 4);
  fs.rmSync(path.join(directory, "deleted"));
  fs.renameSync(directory, `${directory}-elsewhere`);
  const held = guest.host.held();
  const there = new WasiCaller({ files: new NodeFiles(), restored: guest.host.capture(), held });
  guest.host.dispose();
  expect(there.read(deleted, 10)).toBe("456789");
  there.write(log, "kept");
  expect(fs.readFileSync(path.join(`${directory}-elsewhere`, "log"), "utf8")).toBe("kept");
  expect(there.open(ROOT, "log")).toBe(7);
});
