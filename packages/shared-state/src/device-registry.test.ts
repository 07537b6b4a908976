import { ByteReader, MigrationError } from "@peregrine/protocol";
import { describe, expect, it } from "vitest";
import { decoderFor, DeviceRegistry } from "./device-registry.ts";
import type { Device } from "./device-registry.ts";
import { defineState } from "./state-description.ts";
import type { StateValue } from "./state-description.ts";
import { describedFields } from "./testing/fields.ts";

const clock = defineState({ name: "clock", version: 2, fields: [{ name: "ticks", type: "uint32" }] });

function clockDevice(
  instance: number,
  early: boolean,
  ticks: unknown = instance,
): Device & { loaded: StateValue[] } {
  const loaded: StateValue[] = [];
  return {
    description: clock,
    instance,
    early,
    loaded,
    save: () => ({ ticks: ticks as number }),
    load: (value) => {
      loaded.push(value);
    },
  };
}

function registry(...devices: readonly Device[]): DeviceRegistry {
  const devicesOf = new DeviceRegistry();
  for (const device of devices) devicesOf.register(device);
  return devicesOf;
}

describe("the device registry", () => {
  it("saves the devices of one phase in the order of their registration", async () => {
    const devices = registry(clockDevice(5, false), clockDevice(1, true), clockDevice(3, false));
    const late = await devices.saveAll("late");
    expect(late.map(({ name, instance, version }) => [name, instance, version])).toEqual([
      ["clock", 5, 2],
      ["clock", 3, 2],
    ]);
    expect(late[0]!.payload).toEqual(Uint8Array.of(0, 0, 0, 5));
    expect(late[0]!.payload.buffer.byteLength).toBe(4);
    expect(describedFields(late[1]!.description, late[1]!.payload)).toEqual([["ticks", 3]]);
    expect((await devices.saveAll("early")).map((saved) => saved.instance)).toEqual([1]);
  });

  it("leaves out a device that this guest does not have", async () => {
    const absent: Device = { ...clockDevice(3, false), isPresent: () => false };
    const present: Device = { ...clockDevice(4, false), isPresent: () => true };
    const devices = registry(absent, present);
    expect((await devices.saveAll("late")).map((saved) => saved.instance)).toEqual([4]);
    expect(devices.descriptions().map(({ optional }) => optional)).toEqual([true, true]);
  });

  it("passes on what is wrong with a drive as it is", async () => {
    const cause = new MigrationError("BAD_DRIVE", "there is none");
    const device: Device = { ...clockDevice(4, false), load: () => Promise.reject(cause) };
    await expect(registry(device).load("clock", 4, {})).rejects.toBe(cause);
  });

  it("finds a device by its name and instance, and takes each only once", () => {
    const device = clockDevice(1, false);
    const devices = registry(device);
    expect(devices.find("clock", 1)).toBe(device);
    expect(devices.find("clock", 0)).toBeUndefined();
    expect(devices.find("cloc", 1)).toBeUndefined();
    expect(() => {
      devices.register(clockDevice(1, true));
    }).toThrow(expect.objectContaining({ code: "INTERNAL" }));
  });

  it("loads what another thread decoded with its listing", async () => {
    const device = clockDevice(1, false);
    const devices = registry(device);
    const listing = structuredClone(devices.descriptions());
    expect(listing).toEqual([{ description: clock, instance: 1, early: false, optional: false }]);
    const decoder = decoderFor(listing, "clock", 1, 2);
    const input = new ByteReader();
    input.push(Uint8Array.of(0, 0, 1, 0));
    expect(decoder.decode(input)).toBe(true);
    await devices.load("clock", 1, decoder.value);
    expect(device.loaded).toEqual([{ ticks: 256 }]);
  });

  it("refuses sections that it does not know, in upstream's words", async () => {
    const devices = registry(clockDevice(0, false));
    const refusal = {
      code: "UNKNOWN_SECTION",
      message:
        "Unknown savevm section or instance 'clock' 7. " +
        "Make sure that your current VM setup matches your saved VM setup, including any hotplugged devices",
    };
    await expect(devices.load("clock", 7, {})).rejects.toMatchObject(refusal);
    expect(() => decoderFor(devices.descriptions(), "clock", 7, 2)).toThrow(expect.objectContaining(refusal));
    for (const version of [1, 3]) {
      expect(() => decoderFor(devices.descriptions(), "clock", 0, version)).toThrow(
        expect.objectContaining({
          code: "UNSUPPORTED_SECTION_VERSION",
          message: `savevm: unsupported version ${version} for 'clock' v2`,
        }),
      );
    }
  });

  it("names the device when it throws while it saves or loads, whatever it throws", async () => {
    const cause = new MigrationError("NO_SUCH_FILE", "the file 'x' is gone");
    const broken: Device = {
      ...clockDevice(4, false),
      save: () => {
        throw cause;
      },
      load: () => Promise.reject(new TypeError("no")),
    };
    await expect(registry(broken).saveAll("late")).rejects.toMatchObject({
      code: "DEVICE_STATE",
      section: "clock",
      cause,
      message: "The device 'clock' 4 could not save its state: the file 'x' is gone",
    });
    await expect(registry(broken).load("clock", 4, {})).rejects.toMatchObject({
      code: "DEVICE_STATE",
      message: "The device 'clock' 4 could not load its state: no",
    });
    await expect(registry(clockDevice(2, false, "soon")).saveAll("late")).rejects.toMatchObject({
      code: "DEVICE_STATE",
      message:
        "The device 'clock' 2 could not save its state: the state 'clock.ticks' is soon, which is no valid uint32",
    });
  });

  it("rehearses with the examples of the late devices, and nothing comes of it", async () => {
    const asked: string[] = [];
    const save = (): never => {
      throw new Error("the guest runs");
    };
    const exemplary = (instance: number, early: boolean, ticks: unknown): Device => ({
      ...clockDevice(instance, early),
      save,
      example: async () => {
        asked.push(`${instance} ${String(ticks)}`);
        return { ticks: ticks as number };
      },
    });
    const devices = registry(
      exemplary(1, true, 1),
      exemplary(2, false, 2),
      { ...clockDevice(3, false), save },
      exemplary(4, false, "soon"),
      exemplary(5, false, 5),
    );
    await devices.rehearse();
    expect(asked).toEqual(["2 2", "4 soon", "5 5"]);
  });

  it("says why the machine cannot be migrated", () => {
    const devices = registry();
    expect(devices.unmigratable).toBeUndefined();
    devices.markUnmigratable("wasm-cpu");
    devices.markUnmigratable("disk", "it is local");
    expect(devices.unmigratable).toBe("State blocked by non-migratable device 'wasm-cpu'");
    expect(devices.blockedReasons).toEqual([
      "non-migratable device: wasm-cpu",
      "non-migratable device: disk: it is local",
    ]);
    const other = registry();
    other.markUnmigratable("disk", "it is local");
    expect(other.unmigratable).toBe("State blocked by non-migratable device 'disk': it is local");
  });
});
