import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkSetup, type DescriptorState, type WasiState } from "@peregrine/machine-wasm";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NodeFiles } from "./host-files.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "peregrine-setup-"));
  mkdirSync(join(directory, "data"));
  writeFileSync(join(directory, "data", "base"), "0123456789");
});
afterEach(() => rmSync(directory, { recursive: true }));

const common = { rights: 0x1fffffff, inheritingRights: 0x1fffffff, flags: 0, root: 0, gone: false };
const root: DescriptorState = { ...common, kind: "directory", fd: 3, path: "", preopened: true };
const file = (fd: number, path: string): DescriptorState => ({
  ...common,
  kind: "file",
  fd,
  path,
  read: true,
  write: true,
  position: 0n,
  size: 4n,
});

const state = (...descriptors: DescriptorState[]): WasiState => ({
  args: [],
  env: [],
  preopens: [{ guestPath: "/data", hostPath: join(directory, "data") }],
  descriptors: [root, ...descriptors],
  monotonicNs: 0n,
  pollStartedNs: undefined,
  consoleInput: new Uint8Array(0),
  consoleInputEnded: false,
  exitStatus: undefined,
});

const check = (given: WasiState): void => checkSetup(given, new NodeFiles(), ({ hostPath }) => hostPath);

describe("the look for a guest's files before it is stopped", () => {
  it("finds them", () => {
    check(state(file(4, "base")));
  });

  it("lets one pass that the guest may have deleted since", () => {
    check(state(file(4, "base"), file(5, "base-journal")));
  });

  it("refuses when none of them is here, naming each", () => {
    expect(() => check(state(file(4, "other"), file(5, "more")))).toThrow(
      /descriptor 4, .*other.*descriptor 5, .*more/,
    );
  });

  it("refuses a directory that is not here", () => {
    rmSync(join(directory, "data"), { recursive: true });
    expect(() => check(state())).toThrow(/directory \/data \(.*here\)/);
  });
});
