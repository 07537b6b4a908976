import fs from "node:fs";
import path from "node:path";
import { HostError } from "@peregrine/machine-wasm/guest";
import { expect, test } from "vitest";
import { create, guestInDirectory, openDescriptors, ROOT } from "../test/guest-directory.ts";
import { OFLAGS } from "../../machine-wasm/test/wasi-caller.ts";

/** Ways a guest may try to reach `outside/secret`, with what the host has in the sandbox for it. */
const ESCAPES: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ["../outside/secret", {}],
  ["/etc/passwd", {}],
  ["sub/../../outside/secret", {}],
  ["sub/../sub/../../outside/secret", {}],
  ["link", { link: "../outside/secret" }],
  ["link/secret", { link: "../outside" }],
  ["absolute", { absolute: "/etc/passwd" }],
  ["absolute/passwd", { absolute: "/etc" }],
  ["sub/up/../outside/secret", { "sub/up": ".." }],
  ["sub/here/../../outside/secret", { "sub/here": "." }],
  ["one", { one: "two", two: "sub/three", "sub/three": "../../outside/secret" }],
  ["slash/", { slash: "../outside" }],
];

test("no path and no link leads out of the sandbox", () => {
  for (const [target, links] of ESCAPES) {
    const { guest, directory, outside } = guestInDirectory();
    fs.mkdirSync(path.join(directory, "sub"));
    for (const [name, to] of Object.entries(links)) fs.symlinkSync(to, path.join(directory, name));
    const before = openDescriptors();
    const refused = ["EPERM", "ENOENT", "ENOTDIR", "EINVAL", "EBUSY", "EEXIST"];
    const reached = guest.open(ROOT, target);
    expect(reached, target).toBeTypeOf("string");
    expect(guest.open(ROOT, target, { oflags: OFLAGS.create | OFLAGS.truncate }), target).toBe("EPERM");
    expect(guest.call("path_filestat_get", ROOT, 1, ...guest.put(target), guest.alloc(64)), target).toBe(
      "EPERM",
    );
    if (links[target] === undefined) {
      for (const call of ["path_unlink_file", "path_create_directory", "path_remove_directory"]) {
        expect(refused, `${call} ${target}`).toContain(guest.path(call, ROOT, target));
      }
    }
    expect(fs.readFileSync(path.join(outside, "secret"), "utf8")).toBe("secret");
    expect(openDescriptors(), "descriptors are closed after a refusal").toBe(before);
  }
});

test("links inside the sandbox are followed, with their parents", () => {
  const { guest, directory } = guestInDirectory();
  fs.mkdirSync(path.join(directory, "a/b"), { recursive: true });
  fs.writeFileSync(path.join(directory, "a/file"), "found");
  fs.symlinkSync("../file", path.join(directory, "a/b/link"));
  fs.symlinkSync("a/b", path.join(directory, "directory"));
  for (const name of ["a/b/link", "directory/link", "directory/../file", "a//b/.././file"]) {
    expect(guest.read(guest.mustOpen(ROOT, name, { rights: 0x2n }), 10), name).toBe("found");
  }
  expect(guest.open(ROOT, "a/b/link", { follow: false })).toBe("ELOOP");
});

test("a directory swapped for a link while it is open stays the directory it was", () => {
  const { guest, directory, outside } = guestInDirectory();
  guest.ok("path_create_directory", ROOT, ...guest.put("sub"));
  const sub = guest.mustOpen(ROOT, "sub", {
    oflags: OFLAGS.directory,
    rights: 0x7ffffffn,
    inheriting: 0xfffffffn,
  });
  fs.renameSync(path.join(directory, "sub"), path.join(directory, "moved"));
  fs.symlinkSync(outside, path.join(directory, "sub"));
  expect(guest.open(sub, "secret")).toBe("ENOENT");
  guest.mustOpen(sub, "new", { oflags: OFLAGS.create });
  expect(fs.existsSync(path.join(directory, "moved/new"))).toBe(true);
});

test("loops of links end", () => {
  const { guest, directory } = guestInDirectory();
  fs.symlinkSync("b", path.join(directory, "a"));
  fs.symlinkSync("a", path.join(directory, "b"));
  fs.symlinkSync("self/self", path.join(directory, "self"));
  expect(guest.open(ROOT, "a")).toBe("ELOOP");
  expect(guest.open(ROOT, "self")).toBe("ELOOP");
});

test("pipes and devices are refused and never block", async () => {
  const { guest, directory } = guestInDirectory();
  const { execFileSync } = await import("node:child_process");
  execFileSync("mkfifo", [path.join(directory, "pipe")]);
  expect(guest.open(ROOT, "pipe", { rights: 0x2n })).toBe("ENOTSUP");
});

test("paths that are no paths", () => {
  const { guest } = guestInDirectory();
  create(guest, "file");
  expect(guest.open(ROOT, "")).toBe("ENOENT");
  expect(guest.open(ROOT, "file\0")).toBe("EINVAL");
  expect(guest.open(ROOT, "x".repeat(5000))).toBe("ENAMETOOLONG");
  expect(guest.open(ROOT, "x".repeat(300))).toBe("ENAMETOOLONG");
  expect(guest.open(ROOT, "file/")).toBe("ENOTDIR");
  expect(guest.open(ROOT, "file/.")).toBe("ENOTDIR");
  expect(guest.open(ROOT, "file/x")).toBe("ENOTDIR");
  expect(guest.open(ROOT, "new/", { oflags: OFLAGS.create })).toBe("EISDIR");
  const at = guest.alloc(1);
  guest.bytes[at] = 0xff;
  expect(guest.call("path_unlink_file", ROOT, at, 1)).toBe("EILSEQ");
  expect(guest.call("path_unlink_file", ROOT, at, -1)).toBe("EFAULT");
});

test("of a path that is too long nothing is looked at but its length", () => {
  const { guest } = guestInDirectory();
  const invalid = new Uint8Array(5000).fill(0xff);
  expect(guest.call("path_unlink_file", ROOT, ...guest.put(invalid))).toBe("ENAMETOOLONG");
  expect(guest.call("path_unlink_file", ROOT, ...guest.put(invalid.subarray(0, 4096)))).toBe("EILSEQ");
  expect(guest.path("path_unlink_file", ROOT, `${"x/".repeat(2047)}yy`)).toBe("ENOENT");
  expect(guest.path("path_unlink_file", ROOT, `${"x/".repeat(2047)}yyy`)).toBe("ENAMETOOLONG");
  const target = guest.put(`/${"x".repeat(4096)}`);
  expect(guest.call("path_symlink", ...target, ROOT, ...guest.put("link"))).toBe("ENAMETOOLONG");
  guest.memory.buffer = new SharedArrayBuffer(0x8001_0000);
  expect(guest.host.imports["path_unlink_file"]!(ROOT, 0, 0x8000_0000)).toBe(
    new HostError("ENAMETOOLONG").number,
  );
});

test("names that are not UTF-8 are not listed", () => {
  const { directory, files } = guestInDirectory();
  fs.writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0x66, 0xff])]), "");
  fs.writeFileSync(path.join(directory, "plain ☃"), "");
  const root = files.openRoot(directory);
  expect(files.list(root)).toEqual([{ name: "plain ☃", type: "regular" }]);
  files.close(root);
});

test("errors of the host keep their meaning", () => {
  const { files, directory } = guestInDirectory();
  expect(() => files.openRoot(path.join(directory, "missing"))).toThrow("ENOENT");
  expect(() => files.stat(1_000_000)).toThrow("EBADF");
  const root = files.openRoot(directory);
  expect(() => files.openDirectory(root, "..")).toThrow("EINVAL");
  expect(() => files.openDirectory(root, "a/b")).toThrow("EINVAL");
  files.close(root);
});
