import fs from "node:fs";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { expect, onTestFinished, test } from "vitest";
import { moved } from "../../machine-wasm/test/wasi-bytes.ts";
import { OFLAGS, WasiCaller } from "../../machine-wasm/test/wasi-caller.ts";
import {
  create,
  guestInDirectory,
  openDescriptors,
  ROOT,
  temporaryDirectory,
} from "../test/guest-directory.ts";
import { NodeFiles } from "./host-files.ts";

const ROUNDS = 1500;

/** Renames `sandbox/sub` away, puts a link to `outside` in its place, and back again, until it is told to end. */
const SWAPPER = `
  const { workerData: { sub, parked, link, end } } = require("node:worker_threads");
  const fs = require("node:fs");
  const ended = new Int32Array(end);
  while (Atomics.load(ended, 0) === 0) {
    fs.renameSync(sub, parked);
    fs.symlinkSync(link, sub);
    fs.unlinkSync(sub);
    fs.renameSync(parked, sub);
  }
`;

/** Lets another thread swap `sub` for links to `link` while `work` runs. */
async function whileSwapped(directory: string, link: string, work: () => void): Promise<void> {
  const end = new SharedArrayBuffer(4);
  const places = { sub: path.join(directory, "sub"), parked: path.join(directory, "parked") };
  const worker = new Worker(SWAPPER, { eval: true, workerData: { ...places, link, end } });
  const failed = new Promise<never>((_, reject) => worker.once("error", reject));
  failed.catch(() => undefined);
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  await new Promise((resolve) => worker.once("online", resolve));
  try {
    work();
  } finally {
    Atomics.store(new Int32Array(end), 0, 1);
    await Promise.race([exited, failed]);
  }
}

test.each(["absolute", "relative"])("no race with %s links leads out of the sandbox", async (kind) => {
  const { guest, directory, outside } = guestInDirectory();
  fs.mkdirSync(path.join(directory, "sub"));
  fs.writeFileSync(path.join(directory, "sub/secret"), "inside");
  const names = Object.fromEntries(
    ["secret", "stolen", "new", "made", "renamed"].map((name) => [name, guest.put(`sub/${name}`)]),
  ) as Record<"secret" | "stolen" | "new" | "made" | "renamed", [number, number]>;
  const opened = guest.alloc(4);
  const count = guest.alloc(4);
  const buffer: [number, number] = [guest.alloc(16), 16];
  const target = guest.iovecs(buffer);
  // Without the check of every byte of its memory the guest is quick enough for a race.
  const call = (name: string, ...args: (number | bigint)[]): boolean =>
    guest.host.imports[name]!(...args) === 0;
  const open = (name: [number, number], flags: number, rights: bigint): number | undefined =>
    call("path_open", ROOT, 1, ...name, flags, rights, 0n, 0, opened) ? guest.u32(opened) : undefined;
  const close = (fd: number | undefined): boolean => fd !== undefined && call("fd_close", fd);
  /** What a guest would do with a file outside, each by a name that another thread leads astray. */
  const attacks: readonly (() => boolean)[] = [
    () => call("path_create_directory", ROOT, ...names.made),
    () => call("path_rename", ROOT, ...names.made, ROOT, ...names.renamed),
    () => call("path_remove_directory", ROOT, ...names.renamed),
    () => call("path_link", ROOT, 0, ...names.secret, ROOT, ...names.stolen),
    () => call("path_unlink_file", ROOT, ...names.stolen),
    () => close(open(names.new, OFLAGS.create | OFLAGS.truncate, 0x40n)),
  ];
  const succeeded = attacks.map(() => 0);
  const read = { inside: 0, refused: 0 };
  const before = openDescriptors();
  const link = kind === "absolute" ? outside : "../outside";
  await whileSwapped(directory, link, () => {
    const isDone = (): boolean =>
      read.inside > 0 && read.refused > 0 && succeeded.every((times) => times > 0);
    for (let round = 0; round < ROUNDS || !isDone(); round++) {
      for (const [index, attack] of attacks.entries()) if (attack()) succeeded[index]!++;
      const fd = open(names.secret, 0, 0x2n);
      if (fd === undefined) {
        read.refused++;
        continue;
      }
      expect(call("fd_read", fd, ...target, count)).toBe(true);
      expect(guest.text(buffer[0], guest.u32(count))).toBe("inside");
      read.inside++;
      close(fd);
    }
  });
  expect(fs.readdirSync(outside)).toEqual(["secret"]);
  expect(fs.readFileSync(path.join(outside, "secret"), "utf8")).toBe("secret");
  expect(fs.statSync(path.join(outside, "secret")).nlink).toBe(1);
  expect(openDescriptors()).toBe(before);
});

test("no race leads a guest that arrives to a file outside", async () => {
  const { guest, directory, outside } = guestInDirectory();
  fs.mkdirSync(path.join(directory, "sub"));
  fs.writeFileSync(path.join(directory, "sub/secret"), "inside");
  const fd = guest.mustOpen(ROOT, "sub/secret", { rights: 0x2n });
  const state = moved(guest.host.capture());
  guest.host.dispose();
  const before = openDescriptors();
  const arrived = { inside: 0, refused: 0 };
  await whileSwapped(directory, outside, () => {
    for (let round = 0; round < 200 || arrived.inside === 0 || arrived.refused === 0; round++) {
      let there: WasiCaller;
      try {
        there = new WasiCaller({ files: new NodeFiles(), restored: state });
      } catch (error) {
        expect(error).toMatchObject({ code: "DEVICE_STATE" });
        arrived.refused++;
        continue;
      }
      expect(there.read(fd, 10)).toBe("inside");
      arrived.inside++;
      there.host.dispose();
    }
  });
  expect(openDescriptors()).toBe(before);
});

test.each([
  [
    "a link in the place of the file",
    (sandbox: string, outside: string) => {
      fs.rmSync(path.join(sandbox, "sub/secret"));
      fs.symlinkSync(path.join(outside, "secret"), path.join(sandbox, "sub/secret"));
    },
  ],
  [
    "a link in the place of its directory",
    (sandbox: string, outside: string) => {
      fs.rmSync(path.join(sandbox, "sub"), { recursive: true });
      fs.symlinkSync(outside, path.join(sandbox, "sub"));
    },
  ],
] as const)("a guest that arrives is not given %s", (_, swap) => {
  const { guest, directory, outside } = guestInDirectory();
  fs.mkdirSync(path.join(directory, "sub"));
  create(guest, "sub/secret", "inside");
  guest.mustOpen(ROOT, "sub/secret", { rights: 0x2n });
  const state = moved(guest.host.capture());
  guest.host.dispose();
  swap(directory, outside);
  expect(() => new WasiCaller({ files: new NodeFiles(), restored: state })).toThrow(
    expect.objectContaining({ code: "DEVICE_STATE" }),
  );
});

test("a state cannot name what is above the directory", () => {
  const { guest } = guestInDirectory();
  create(guest, "f", "inside");
  guest.mustOpen(ROOT, "f", { rights: 0x2n });
  const state = guest.host.capture();
  for (const name of ["../outside/secret", "/etc/passwd", "..", "f/../../outside/secret"]) {
    const descriptors = state.descriptors.map((one) => (one.kind === "file" ? { ...one, path: name } : one));
    expect(
      () => new WasiCaller({ files: new NodeFiles(), restored: { ...state, descriptors } }),
      name,
    ).toThrow(expect.objectContaining({ code: "DEVICE_STATE" }));
  }
});

test("the kernel's own links lead nowhere", () => {
  const secret = path.join(temporaryDirectory(), "secret");
  fs.writeFileSync(secret, "secret");
  const open = fs.openSync(secret, "r");
  onTestFinished(() => fs.closeSync(open));
  const guest = new WasiCaller({
    files: new NodeFiles(),
    config: { preopens: [{ guestPath: "/", hostPath: "/proc/self" }] },
  });
  const relative = path.relative("/proc/self", secret);
  for (const name of [`fd/${open}`, "exe", "root/etc/passwd", "cwd/package.json", `cwd/${relative}`]) {
    expect(guest.open(ROOT, name, { rights: 0x2n }), name).toBe("EPERM");
    expect(guest.open(ROOT, name, { rights: 0x2n, follow: false }), name).toMatch(/^(ELOOP|EPERM)$/u);
  }
  guest.host.dispose();
});

test("a hard link is one more name of a file inside, never of what a link names", () => {
  const { guest, directory, outside } = guestInDirectory();
  fs.symlinkSync(path.join(outside, "secret"), path.join(directory, "link"));
  const link = (follow: 0 | 1, from: string, to: string): unknown =>
    guest.call("path_link", ROOT, follow, ...guest.put(from), ROOT, ...guest.put(to));
  expect(link(1, "link", "a")).toBe("EPERM");
  expect(link(0, "../outside/secret", "a")).toBe("EPERM");
  link(0, "link", "b");
  expect(guest.open(ROOT, "b", { rights: 0x2n })).toBe("EPERM");
  expect(fs.statSync(path.join(outside, "secret")).nlink).toBe(1);
});

test("a device is not even opened", () => {
  const opened: string[] = [];
  class WatchedFiles extends NodeFiles {
    override openFile(...args: Parameters<NodeFiles["openFile"]>): number {
      opened.push(args[1]);
      return super.openFile(...args);
    }
  }
  const guest = new WasiCaller({
    files: new WatchedFiles(),
    config: { preopens: [{ guestPath: "/", hostPath: "/dev" }] },
  });
  for (const name of ["null", "zero", "tty"])
    expect(guest.open(ROOT, name, { rights: 0x2n })).toBe("ENOTSUP");
  expect(opened).toEqual([]);
  guest.host.dispose();
});
