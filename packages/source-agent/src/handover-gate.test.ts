import { expect, test } from "vitest";
import { HandoverGate } from "./handover-gate.ts";

test("a gate that was passed cannot be closed", () => {
  const gate = new HandoverGate();
  const other = new HandoverGate(gate.buffer);
  expect(other.passed).toBe(false);
  expect(gate.pass()).toBe(true);
  expect(other.close()).toBe(false);
  expect(other.passed).toBe(true);
});

test("a gate that was closed cannot be passed", () => {
  const gate = new HandoverGate();
  expect(gate.close()).toBe(true);
  expect(new HandoverGate(gate.buffer).pass()).toBe(false);
  expect(gate.passed).toBe(false);
  expect(gate.close()).toBe(true);
});
