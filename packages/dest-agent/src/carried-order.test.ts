import { expect, test } from "vitest";
import { CarriedOrder } from "./carried-order.ts";

test("no more device sections are kept than are counted for", () => {
  const order = new CarriedOrder();
  const start = (instance: number): void => {
    order.startDevice({ kind: "full", id: instance, name: "timer", instance, version: 1 });
  };
  for (let instance = 0; instance < 65_536; instance++) start(instance);
  expect(() => start(65_536)).toThrow(
    expect.objectContaining({
      code: "LIMIT_EXCEEDED",
      message: "65537 device sections are more than the limit of 65536",
    }),
  );
});
