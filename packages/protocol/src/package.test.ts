import { describe, expect, test } from "vitest";
import { RTC, UART, writeDevices } from "../test/described.ts";
import { decodeDevices, DeviceRecorder } from "../test/device-recorder.ts";
import { SMALL_BLOCKS, writeHead, writeRamSection, writeRamStart } from "../test/streams.ts";
import { refusal, toHex, written } from "../test/support.ts";
import { DEFAULT_LIMITS, encodeCommand, encodeEndMark, RamPageEncoder } from "./index.ts";
import type { ByteWriter } from "./index.ts";

function packaged(write: (w: ByteWriter) => void, length?: number): Uint8Array {
  return written((w) => {
    writeHead(w);
    writeRamStart(w, new RamPageEncoder(), SMALL_BLOCKS);
    const content = written(write);
    encodeCommand(w, { kind: "packaged", length: length ?? content.length });
    w.bytes(content);
    encodeCommand(w, { kind: "ping", value: 4 });
    writeRamSection(w, new RamPageEncoder(), "end");
    encodeEndMark(w);
  });
}

function postcopy(w: ByteWriter): void {
  encodeCommand(w, { kind: "postcopy-listen" });
  writeDevices(w);
  encodeCommand(w, { kind: "postcopy-run" });
}

test("a package is read like the rest, at every split point", () => {
  const bytes = packaged(postcopy);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const { log, by } = decodeDevices([bytes.slice(0, cut), bytes.slice(cut)]);
    expect(log).toEqual([
      "start ram",
      "packaged",
      "postcopy-listen",
      `uart ${toHex(UART)}`,
      "ping",
      `rtc ${toHex(RTC)}`,
      "postcopy-run",
      "package end",
      "ping",
      "end ram",
      "end mark",
    ]);
    expect(by).toEqual(["footer", "footer"]);
  }
});

test("devices in a package do not wait for what is behind it", () => {
  const bytes = packaged(postcopy);
  const recorder = new DeviceRecorder();
  const end = written((w) => writeRamSection(w, new RamPageEncoder(), "end")).length + 1 + 9;
  expect(refusal(() => decodeDevices([bytes.slice(0, -end)], recorder))).toMatchObject({ code: "TRUNCATED" });
  expect(recorder.log.at(-1)).toBe("package end");
});

test("a package may be empty", () => {
  expect(decodeDevices([packaged(() => {})]).log.slice(1, 4)).toEqual(["packaged", "package end", "ping"]);
});

describe("refused", () => {
  const refused = (bytes: Uint8Array, limits = DEFAULT_LIMITS) => [
    refusal(() => decodeDevices([bytes.slice()], new DeviceRecorder(), { limits })),
    refusal(() =>
      decodeDevices(
        Array.from(bytes, (byte) => Uint8Array.of(byte)),
        new DeviceRecorder(),
        { limits },
      ),
    ),
  ];

  test.each([
    [
      "a package in a package",
      packaged((w) => encodeCommand(w, { kind: "packaged", length: 0 })),
      "has another package in it",
    ],
    ["an end mark in a package", packaged(encodeEndMark), "has an end mark"],
    [
      "a package that ends in a command",
      packaged((w) => encodeCommand(w, { kind: "ping", value: 1 }), 7),
      "ends in the middle of something",
    ],
  ])("%s", (_name, bytes, why) => {
    for (const error of refused(bytes)) {
      expect(error).toMatchObject({ code: "BAD_STREAM_COMMAND", lastGoodSection: "ram" });
      expect(error.message).toContain(`The package of command PACKAGED ${why}`);
    }
  });

  test("a device without its footer at the end of a package", () => {
    const length = written(postcopy).length;
    for (const error of refused(packaged(postcopy, 5 + 18 + UART.length + 2))) {
      expect(error).toMatchObject({ code: "TRUNCATED", section: "uart" });
    }
    expect(length).toBeGreaterThan(UART.length);
  });

  test("a package above the limit", () => {
    const limits = { ...DEFAULT_LIMITS, maxPackageBytes: 16 };
    for (const error of refused(packaged(postcopy), limits)) {
      expect(error.code).toBe("LIMIT_EXCEEDED");
      expect(error.message).toContain("bytes of a package are more than the limit of 16");
    }
  });
});
