import { describe, expect, it } from "vitest";
import { MigrationCapabilities } from "./capabilities.ts";
import { MigrationParameters } from "./parameters.ts";

const DOWNTIME_RANGE = "Parameter 'downtime_limit' expects an integer in the range of 0 to (2000 * 1000) ms";

const refusal = (message: string): unknown => expect.objectContaining({ code: "BAD_PARAMETER", message });

describe("the parameters", () => {
  it("begin with 32 MiB/s and 30 ms", () => {
    const parameters = new MigrationParameters();
    expect(parameters.values()).toStrictEqual({ "max-bandwidth": 33_554_432, "downtime-limit": 30 });
    expect(parameters.downtimeLimitNs).toBe(30_000_000);
  });

  it("take values up to their limits, in every thread at once", () => {
    const parameters = new MigrationParameters();
    const other = new MigrationParameters(parameters.buffer);
    parameters.set({ "max-bandwidth": 0, "downtime-limit": 2_000_000 });
    expect([other.maxBandwidth, other.downtimeLimit]).toEqual([0, 2_000_000]);
    const largest = JSON.parse("18446744073709551615") as number;
    other.set({ "max-bandwidth": largest, "downtime-limit": 0 });
    expect(parameters.values()).toEqual({ "max-bandwidth": largest, "downtime-limit": 0 });
  });

  it("refuse what is not allowed, in upstream's words, and change nothing then", () => {
    const parameters = new MigrationParameters();
    const cases: [Record<string, unknown>, string][] = [
      [{ "downtime-limit": 2_000_001 }, DOWNTIME_RANGE],
      [{ "downtime-limit": -1 }, DOWNTIME_RANGE],
      [{ "downtime-limit": 1.5 }, "Parameter 'downtime-limit' expects uint64"],
      [{ "downtime-limit": "30" }, "Parameter 'downtime-limit' expects uint64"],
      [{ "max-bandwidth": -1 }, "Parameter 'max-bandwidth' expects uint64"],
      [{ "max-bandwidth": 0.5 }, "Parameter 'max-bandwidth' expects uint64"],
      [{ "max-bandwidth": "1M" }, "Parameter 'max-bandwidth' expects uint64"],
      [{ "max-bandwidth": null }, "Parameter 'max-bandwidth' expects uint64"],
      [{ "max-bandwidth": 2 ** 65 }, "Parameter 'max-bandwidth' expects uint64"],
      [{ "max-bandwith": 1 }, "Parameter 'max-bandwith' is unexpected"],
      [{ toString: 1 }, "Parameter 'toString' is unexpected"],
    ];
    for (const [wrong, message] of cases) {
      expect(() => {
        parameters.set({ "max-bandwidth": 5, ...wrong });
      }).toThrow(refusal(message));
    }
    expect(parameters.values()).toEqual({ "max-bandwidth": 33_554_432, "downtime-limit": 30 });
  });

  it("take a negative speed for 0", () => {
    const parameters = new MigrationParameters();
    parameters.setSpeed(1000);
    expect(parameters.maxBandwidth).toBe(1000);
    parameters.setSpeed(-1);
    expect(parameters.maxBandwidth).toBe(0);
    expect(() => {
      parameters.setSpeed(1.5);
    }).toThrow(refusal("Parameter 'value' expects int"));
  });

  it("take a downtime in seconds, held to what 64 bits of nanoseconds can say", () => {
    const parameters = new MigrationParameters();
    for (const [seconds, ns, ms] of [
      [0.3, 300_000_000, 300],
      [0.0006, 600_000, 1],
      [-5, 0, 0],
      [1e300, 2 ** 64, 18_446_744_073_710],
    ] as const) {
      parameters.setDowntime(seconds);
      expect(parameters.downtimeLimitNs).toBeCloseTo(ns, 3);
      expect(parameters.values()["downtime-limit"]).toBe(ms);
    }
    expect(() => {
      parameters.setDowntime(Number.NaN);
    }).toThrow(refusal("Parameter 'value' expects number"));
  });
});

describe("the capabilities", () => {
  it("are off at first, and are set and listed", () => {
    const capabilities = new MigrationCapabilities();
    expect(capabilities.list()).toEqual([{ capability: "events", state: false }]);
    capabilities.set([{ capability: "events", state: true }], "none");
    expect(capabilities.list()).toEqual([{ capability: "events", state: true }]);
    expect(capabilities.isOn("events")).toBe(true);
  });

  it("refuse one that is not built, and change nothing then", () => {
    const capabilities = new MigrationCapabilities();
    for (const name of ["nope", "xbzrle", "constructor"]) {
      const changes = [
        { capability: "events", state: true },
        { capability: name, state: true },
      ];
      expect(() => {
        capabilities.set(changes, "none");
      }).toThrow(refusal(`Parameter 'capability' does not accept value '${name}'`));
    }
    expect(capabilities.isOn("events")).toBe(false);
  });

  it("do not change in setup and active", () => {
    const capabilities = new MigrationCapabilities();
    for (const status of ["setup", "active"] as const) {
      expect(() => {
        capabilities.set([{ capability: "events", state: true }], status);
      }).toThrow(
        expect.objectContaining({ code: "IN_PROGRESS", message: "There's a migration process in progress" }),
      );
    }
    for (const status of ["none", "cancelling", "cancelled", "completed", "failed"] as const) {
      capabilities.set([{ capability: "events", state: true }], status);
    }
    expect(capabilities.isOn("events")).toBe(true);
  });
});
