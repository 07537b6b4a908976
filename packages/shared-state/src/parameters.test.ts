import { describe, expect, it } from "vitest";
import { MigrationCapabilities } from "./capabilities.ts";
import { MigrationParameters } from "./parameters.ts";

const DOWNTIME_RANGE = "Parameter 'downtime_limit' expects an integer in the range of 0 to (2000 * 1000) ms";

const CACHE_SIZE = "Parameter 'xbzrle_cache_size' expects a power of two no less than the target page size";

const MOST_THROTTLE =
  "Parameter 'max_cpu_throttle' expects an integer in the range of cpu_throttle_initial to 99";

const percentOf = (name: string): string => `Parameter '${name}' expects an integer in the range of 1 to 99`;

/** What new parameters hold. */
const DEFAULTS = {
  "announce-initial": 50,
  "announce-max": 550,
  "announce-rounds": 5,
  "announce-step": 100,
  "throttle-trigger-threshold": 50,
  "cpu-throttle-initial": 20,
  "cpu-throttle-increment": 10,
  "cpu-throttle-tailslow": false,
  "avail-switchover-bandwidth": 0,
  "max-cpu-throttle": 99,
  "max-bandwidth": 33_554_432,
  "downtime-limit": 30,
  "xbzrle-cache-size": 67_108_864,
  "multifd-channels": 2,
  "multifd-compression": "none",
  "multifd-zlib-level": 1,
  "multifd-zstd-level": 1,
  "tls-creds": "",
  "tls-hostname": "",
  "tls-authz": "",
};

const refusal = (message: string): unknown => expect.objectContaining({ code: "BAD_PARAMETER", message });

describe("the parameters", () => {
  it("begin with 32 MiB/s, 30 ms, and the figures of upstream", () => {
    const parameters = new MigrationParameters();
    expect(parameters.values()).toStrictEqual(DEFAULTS);
    expect(parameters.downtimeLimitNs).toBe(30_000_000);
  });

  it("that are texts are set with the others or not at all, and reset by null", () => {
    const parameters = new MigrationParameters();
    parameters.set({ "tls-creds": "tls0", "tls-hostname": "a.example", "multifd-channels": 3 });
    expect(parameters.texts()).toEqual({ "tls-creds": "tls0", "tls-hostname": "a.example", "tls-authz": "" });
    const type = "Invalid parameter type for 'tls-authz', expected: string";
    expect(() => parameters.set({ "tls-creds": "tls1", "tls-authz": 1 })).toThrow(refusal(type));
    expect(() => parameters.set({ "tls-creds": "x".repeat(1025) })).toThrow(
      refusal("Parameter 'tls-creds' expects a text of at most 1024 characters"),
    );
    expect(() => parameters.set({ "tls-creds": "tls1", "multifd-channels": 0 })).toThrow();
    expect(parameters.values()).toMatchObject({ "tls-creds": "tls0", "multifd-channels": 3 });
    parameters.set({ "tls-creds": null, "tls-hostname": "" });
    expect(parameters.texts()).toEqual({ "tls-creds": "", "tls-hostname": "", "tls-authz": "" });
  });

  it("take values up to their limits, in every thread at once", () => {
    const parameters = new MigrationParameters();
    const other = new MigrationParameters(parameters.buffer);
    parameters.set({ "max-bandwidth": 0, "downtime-limit": 2_000_000 });
    expect([other.maxBandwidth, other.downtimeLimit]).toEqual([0, 2_000_000]);
    const largest = JSON.parse("18446744073709551615") as number;
    other.set({ "max-bandwidth": largest, "downtime-limit": 0 });
    expect(parameters.values()).toMatchObject({ "max-bandwidth": largest, "downtime-limit": 0 });
  });

  it("of xbzrle and multifd take values up to their limits, in every thread at once", () => {
    const parameters = new MigrationParameters();
    const other = new MigrationParameters(parameters.buffer);
    for (const multifd of [
      ["none", 1, 0, 0],
      ["zlib", 255, 9, 0],
      ["zstd", 2, 0, 20],
    ] as const) {
      const [compression, channels, zlib, zstd] = multifd;
      parameters.set({
        "multifd-compression": compression,
        "multifd-channels": channels,
        "multifd-zlib-level": zlib,
        "multifd-zstd-level": zstd,
      });
      expect([
        other.multifdCompression,
        other.multifdChannels,
        other.multifdZlibLevel,
        other.multifdZstdLevel,
      ]).toEqual(multifd);
      expect(other.values()["multifd-compression"]).toBe(compression);
    }
    for (const size of [4096, 8192, 2 ** 30, 2 ** 52]) {
      parameters.set({ "xbzrle-cache-size": size });
      expect(other.xbzrleCacheSize).toBe(size);
    }
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
      [{ "xbzrle-cache-size": 2048 }, CACHE_SIZE],
      [{ "xbzrle-cache-size": 0 }, CACHE_SIZE],
      [{ "xbzrle-cache-size": -4096 }, CACHE_SIZE],
      [{ "xbzrle-cache-size": 12_288 }, CACHE_SIZE],
      [{ "xbzrle-cache-size": 2 ** 49 + 1 }, CACHE_SIZE],
      [{ "xbzrle-cache-size": 2 ** 64 }, CACHE_SIZE],
      [{ "xbzrle-cache-size": "64M" }, "Parameter 'xbzrle-cache-size' expects uint64"],
      [{ "multifd-channels": 0 }, "Parameter 'multifd_channels' expects a value between 1 and 255"],
      [{ "multifd-channels": 256 }, "Parameter 'multifd-channels' expects uint8_t"],
      [{ "multifd-channels": -1 }, "Parameter 'multifd-channels' expects uint8_t"],
      [{ "multifd-channels": "2" }, "Parameter 'multifd-channels' expects uint64"],
      [{ "multifd-channels": 1.5 }, "Parameter 'multifd-channels' expects uint64"],
      [{ "multifd-compression": "qpl" }, "Parameter 'multifd-compression' does not accept value 'qpl'"],
      [{ "multifd-compression": 1 }, "Invalid parameter type for 'multifd-compression', expected: string"],
      [{ "multifd-zlib-level": 10 }, "Parameter 'multifd_zlib_level' expects a value between 0 and 9"],
      [{ "multifd-zstd-level": 21 }, "Parameter 'multifd_zstd_level' expects a value between 0 and 20"],
      [{ "multifd-zstd-level": -1 }, "Parameter 'multifd-zstd-level' expects uint8_t"],
      [{ "announce-step": 0 }, "Parameter 'announce_step' expects a value between 0 and 10000"],
      [{ "announce-initial": -1 }, "Parameter 'announce_initial' expects a value between 0 and 100000"],
      [{ "cpu-throttle-initial": 100 }, percentOf("cpu_throttle_initial")],
      [{ "cpu-throttle-increment": 0 }, percentOf("cpu_throttle_increment")],
      [{ "cpu-throttle-increment": true }, "Parameter 'cpu-throttle-increment' expects uint64"],
      [{ "max-cpu-throttle": 100 }, MOST_THROTTLE],
      [{ "max-cpu-throttle": 0 }, MOST_THROTTLE],
      [{ "max-cpu-throttle": 19 }, MOST_THROTTLE],
      [{ "max-cpu-throttle": 50, "cpu-throttle-initial": 51 }, MOST_THROTTLE],
      [
        { "cpu-throttle-tailslow": 1 },
        "Invalid parameter type for 'cpu-throttle-tailslow', expected: boolean",
      ],
      [{ "max-bandwith": 1 }, "Parameter 'max-bandwith' is unexpected"],
      [{ toString: 1 }, "Parameter 'toString' is unexpected"],
    ];
    for (const [wrong, message] of cases) {
      expect(() => {
        parameters.set({ "max-bandwidth": 5, ...wrong });
      }).toThrow(refusal(message));
    }
    expect(parameters.values()).toEqual(DEFAULTS);
  });

  it("take the most and the first throttle together", () => {
    const parameters = new MigrationParameters();
    parameters.set({ "max-cpu-throttle": 50, "cpu-throttle-initial": 50 });
    expect(() => {
      parameters.set({ "cpu-throttle-initial": 60 });
    }).toThrow(refusal(MOST_THROTTLE));
    parameters.set({ "cpu-throttle-initial": 60, "max-cpu-throttle": 60 });
    expect(parameters.values()).toMatchObject({ "cpu-throttle-initial": 60, "max-cpu-throttle": 60 });
  });

  it("take the size of the XBZRLE cache also as the old command has it", () => {
    const parameters = new MigrationParameters();
    const ram = 2 ** 52;
    for (const [asked, held] of [
      [4096, 4096],
      [12_287, 8192],
      [2 ** 49, 2 ** 49],
      [2 ** 49 - 1, 2 ** 48],
      [2 ** 49 + 1, 2 ** 49],
      [2 ** 52, 2 ** 52],
    ] as const) {
      parameters.setCacheSize(asked, ram);
      expect(parameters.xbzrleCacheSize).toBe(held);
    }
    for (const [wrong, message] of [
      [-1, "Parameter 'cache size' expects exceeding address space"],
      [2 ** 63, "Parameter 'cache size' expects exceeding address space"],
      [2 ** 52 + 1, "Parameter 'cache size' expects exceeds guest ram size "],
      [4095, "Parameter 'cache size' expects is smaller than page size"],
    ] as const) {
      expect(() => {
        parameters.setCacheSize(wrong, ram);
      }).toThrow(refusal(message));
    }
    expect(parameters.xbzrleCacheSize).toBe(2 ** 52);
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
  it("are off at first but for the return path, and are set and listed", () => {
    const capabilities = new MigrationCapabilities();
    const before = capabilities.states;
    const on = () => capabilities.list().flatMap(({ capability, state }) => (state ? [capability] : []));
    expect(on()).toEqual(["return-path"]);
    capabilities.set([{ capability: "events", state: true }], "none");
    expect(capabilities.list()).toContainEqual({ capability: "events", state: true });
    expect(on()).toEqual(["events", "return-path"]);
    expect(before.events).toBe(false);
  });

  it("refuse one that is not built, and change nothing then", () => {
    const capabilities = new MigrationCapabilities();
    for (const name of ["nope", "postcopy-ram", "constructor"]) {
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

  it("refuse one without the other that it needs, and change nothing then", () => {
    const capabilities = new MigrationCapabilities();
    const change = (capability: string, state: boolean) => capabilities.set([{ capability, state }], "none");
    change("return-path", false);
    const needs = refusal("Capability 'switchover-ack' requires capability 'return-path'");
    expect(() => change("switchover-ack", true)).toThrow(needs);
    change("return-path", true);
    change("switchover-ack", true);
    expect(() => change("return-path", false)).toThrow(needs);
    expect(capabilities.isOn("return-path")).toBe(true);
  });

  it("refuse two that exclude each other, and change nothing then", () => {
    const on = (capability: string) => ({ capability, state: true });
    for (const [one, other, message] of [
      ["xbzrle", "multifd", "Multifd is not compatible with xbzrle"],
      ["mapped-ram", "xbzrle", "Mapped-ram migration is incompatible with xbzrle"],
      ["multifd", "mapped-ram", "Mapped-ram migration is incompatible with multifd"],
    ] as const) {
      const together = new MigrationCapabilities();
      expect(() => {
        together.set([on("events"), on(one), on(other)], "none");
      }).toThrow(refusal(message));
      expect(together.isOn("events")).toBe(false);
      const after = new MigrationCapabilities();
      after.set([on(one)], "none");
      expect(() => {
        after.set([on(other)], "none");
      }).toThrow(refusal(message));
      after.set([{ capability: one, state: false }, on(other)], "none");
      expect([after.isOn(one), after.isOn(other)]).toEqual([false, true]);
    }
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
