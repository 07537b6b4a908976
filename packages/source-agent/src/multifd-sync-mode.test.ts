import { expect, test } from "vitest";
import { multifdSyncMode } from "./multifd-sync-mode.ts";

test.each([
  ["pc-i440fx-7.2", "section"],
  ["pc-q35-8.0", "section"],
  ["pc-i440fx-3.1", "section"],
  ["pc-i440fx-2.12", "section"],
  ["xenfv-4.2", "section"],
  ["virt-8.1", "record"],
  ["pc-q35-8.2", "record"],
  ["pc-q35-9.0", "record"],
  ["pc-i440fx-10.0", "record"],
  ["s390-ccw-virtio-10.1", "record"],
  ["pc-q35-80.0", "record"],
  ["wasm-1", "record"],
  ["microvm", "record"],
  ["isapc", "record"],
  ["", "record"],
  [undefined, "section"],
])("%s: %s", (machineType, mode) => {
  expect(multifdSyncMode(machineType)).toBe(mode);
});
