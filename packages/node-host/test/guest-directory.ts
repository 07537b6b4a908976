import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import { OFLAGS, WasiCaller } from "../../machine-wasm/test/wasi-caller.ts";
import type { CallerOptions } from "../../machine-wasm/test/wasi-caller.ts";
import { NodeFiles } from "../src/host-files.ts";

/** An empty directory of the host, removed after the test. */
export function temporaryDirectory(): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "peregrine-wasi-"));
  onTestFinished(() => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Descriptor of the preopened directory. */
export const ROOT = 3;

export interface GuestDirectory {
  readonly guest: WasiCaller;
  /** `sandbox` in a directory of its own, so that there is something outside to be kept away from. */
  readonly directory: string;
  /** Beside `sandbox`. */
  readonly outside: string;
  readonly files: NodeFiles;
}

/** A guest with the directory `sandbox` preopened as `/`, and `secret` in a directory beside it. */
export function guestInDirectory(options: CallerOptions & { files?: NodeFiles } = {}): GuestDirectory {
  const base = temporaryDirectory();
  const directory = path.join(base, "sandbox");
  const outside = path.join(base, "outside");
  fs.mkdirSync(directory);
  fs.mkdirSync(outside);
  fs.writeFileSync(path.join(outside, "secret"), "secret");
  const files = options.files ?? new NodeFiles();
  const config = { preopens: [{ guestPath: "/", hostPath: directory }] };
  return { guest: new WasiCaller({ ...options, files, config }), directory, outside, files };
}

/** Creates a file through the guest. */
export function create(guest: WasiCaller, name: string, text = ""): void {
  const fd = guest.mustOpen(ROOT, name, { oflags: OFLAGS.create | OFLAGS.truncate });
  guest.write(fd, text);
  guest.ok("fd_close", fd);
}

/**
 * How many files and directories this process has open. Others are not counted: a process or a thread that a test before has
 * ended may close its sockets at any time.
 */
export function openDescriptors(): number {
  return fs.readdirSync("/proc/self/fd").filter((descriptor) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${descriptor}`).startsWith("/");
    } catch {
      // That of the directory itself.
      return false;
    }
  }).length;
}
