import { describe, expect, it } from "vitest";
import { planRun } from "./plan.ts";

const PLANS = Array.from({ length: 2000 }, (_, run) => planRun(7, run));

describe("the plan of a run", () => {
  it("is the same for the same seed and number, and another one for others", () => {
    expect(planRun(7, 13)).toEqual(PLANS[13]);
    expect(new Set(PLANS.map((plan) => JSON.stringify({ ...plan, run: 0 }))).size).toBeGreaterThan(1900);
    expect(planRun(8, 13)).not.toEqual(PLANS[13]);
  });

  it("has every kind of fault and every place, most of them where the guest changes hands", () => {
    expect(new Set(PLANS.map(({ fault }) => fault.kind)).size).toBe(13);
    const places = PLANS.map(({ point }) => (point.in === "phase" ? point.phase : point.in));
    expect(new Set(places).size).toBe(13);
    const late = places.filter((place) =>
      ["device-state", "tail", "after-end", "return", "answer", "stopped"].includes(place),
    );
    expect(late.length).toBeGreaterThan(PLANS.length / 2);
  });

  it("has every kind of guest, and the disk full only where a drive travels", () => {
    const kinds = new Set(PLANS.map(({ guest }) => guest));
    expect([...kinds].toSorted()).toEqual(["drive", "log", "overlay", "plain", "shared-drive"]);
    const full = new Set(PLANS.filter(({ fault }) => fault.kind === "disk-full").map(({ guest }) => guest));
    expect([...full].toSorted()).toEqual(["drive", "overlay"]);
  });

  it("strikes at every byte of the answers", () => {
    const struck = PLANS.flatMap(({ point }) => (point.in === "answer" ? [point.offset] : []));
    expect(new Set(struck)).toEqual(new Set(Array.from({ length: 24 }, (_, n) => n)));
  });
});
