import { DEFAULT_LIMITS } from "@peregrine/protocol";
import { expect, test } from "vitest";
import { DeviceStore } from "./device-store.ts";

test("no more devices are kept than are counted for, also when they are empty", () => {
  const store = new DeviceStore(DEFAULT_LIMITS);
  const add = (instance: number): void => {
    store.add(
      { kind: "full", id: instance, name: "timer", instance, version: 1 },
      new Uint8Array(0),
      "footer",
    );
  };
  for (let instance = 0; instance < 65_536; instance++) add(instance);
  expect(() => add(65_536)).toThrow(expect.objectContaining({ code: "LIMIT_EXCEEDED" }));
  expect(store.devices).toHaveLength(65_536);
});
