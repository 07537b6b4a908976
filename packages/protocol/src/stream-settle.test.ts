import { describe, expect, test } from "vitest";
import { describedStream, DESCRIPTION, RTC, UART, writeDevices } from "../test/described.ts";
import { DeviceRecorder } from "../test/device-recorder.ts";
import { SMALL_BLOCKS, writeHead } from "../test/streams.ts";
import { fromHex, refusal, toHex, written } from "../test/support.ts";
import {
  DEFAULT_LIMITS,
  encodeCommand,
  encodeEndMark,
  encodeHeader,
  encodeRamBlockList,
  encodeSectionContinuation,
  encodeSectionHeader,
  encodeVmDescription,
  RAM_SECTION,
  RamPageEncoder,
  StreamDecoder,
} from "./index.ts";

const DEVICES = [`uart ${toHex(UART)}`, "ping", `rtc ${toHex(RTC)}`];
const UNDIVIDED = { footers: false, description: undefined };

function decoderFor(recorder: DeviceRecorder): StreamDecoder {
  return new StreamDecoder({
    limits: DEFAULT_LIMITS,
    handler: recorder,
    configuration: "optional",
    footers: "detected",
  });
}

/** Pushes the stream byte by byte, and asks behind each whether it is whole. @returns where it was, at last. */
function settledAt(bytes: Uint8Array, recorder: DeviceRecorder): number | undefined {
  const decoder = decoderFor(recorder);
  for (const [index, byte] of bytes.entries()) {
    decoder.push(Uint8Array.of(byte));
    if (!decoder.settle()) continue;
    expect(decoder.resume()).toBe(true);
    expect(decoder.finished).toBe(true);
    return index + 1;
  }
  return undefined;
}

/** The uart with other bytes in the fields that are free. */
function uartWith(hex: string): Uint8Array {
  const uart = UART.slice();
  uart.set(fromHex(hex), 5);
  return uart;
}

describe("a stream that has become quiet", () => {
  test("is whole behind the last footer and the end mark, and nowhere else", () => {
    const recorder = new DeviceRecorder();
    const bytes = describedStream({ description: undefined });
    expect(settledAt(bytes, recorder)).toBe(bytes.length);
    expect(recorder.log).toEqual([...DEVICES, "end mark"]);
    expect(recorder.by).toEqual(["footer", "footer"]);
  });

  test("is whole behind a vmdescription that fits nothing", () => {
    const description = { ...DESCRIPTION, devices: DESCRIPTION.devices.slice(0, 1) };
    const bytes = describedStream({ description });
    const recorder = new DeviceRecorder();
    const decoder = decoderFor(recorder);
    decoder.push(bytes.slice(0, -1));
    expect(decoder.settle()).toBe(false);
    decoder.push(bytes.slice(-1));
    expect(decoder.settle()).toBe(true);
    decoder.resume();
    expect(recorder.log).toEqual([...DEVICES, "end mark", "vmdescription"]);
  });

  test("without footers is whole when its last byte can be the end mark", () => {
    const bytes = describedStream(UNDIVIDED);
    const recorder = new DeviceRecorder(true);
    const decoder = decoderFor(recorder);
    decoder.push(bytes.slice(0, -3));
    expect(decoder.holds).toBe(true);
    expect(decoder.settle()).toBe(false);
    decoder.push(bytes.slice(-3));
    expect(decoder.settle()).toBe(true);
    expect(decoder.resume()).toBe(true);
    expect(decoder.holds).toBe(false);
    expect(recorder.log).toHaveLength(2);
    expect(recorder.log[0]).toMatch(/^undivided /u);
    expect(recorder.log[1]).toBe("end mark");
  });

  test("is never whole for a handler that keeps nothing undivided", () => {
    expect(settledAt(describedStream(UNDIVIDED), new DeviceRecorder())).toBeUndefined();
  });

  test.each([
    ["with an end mark", "7e0000000600ff"],
    ["with a section that goes on and on", "7e0000000604000000ffff"],
    ["with a vmdescription", "7e00000006000600000040"],
  ])("is not cut at a made-up footer %s", (_name, hex) => {
    const uart = uartWith(hex);
    const recorder = new DeviceRecorder();
    const decoder = decoderFor(recorder);
    decoder.push(describedStream({ description: undefined, uart }));
    expect(decoder.settle()).toBe(true);
    decoder.resume();
    expect(recorder.log).toEqual([`uart ${toHex(uart)}`, ...DEVICES.slice(1), "end mark"]);
  });

  test("refuses every byte that comes after all", () => {
    for (const stream of [UNDIVIDED, { description: undefined }]) {
      const bytes = describedStream(stream);
      const decoder = decoderFor(new DeviceRecorder(true));
      decoder.push(bytes.slice());
      expect(decoder.settle()).toBe(true);
      decoder.resume();
      decoder.push(new Uint8Array(0));
      const late = written((w) => encodeVmDescription(w, DESCRIPTION));
      expect(refusal(() => decoder.push(late))).toMatchObject({
        code: "UNEXPECTED_DATA",
        offset: bytes.length,
        message: expect.stringContaining("Unexpected data after the end of the stream"),
      });
    }
  });

  test("may have been whole before", () => {
    const bytes = describedStream();
    const recorder = new DeviceRecorder();
    const decoder = decoderFor(recorder);
    decoder.push(bytes);
    expect(decoder.settle()).toBe(true);
    decoder.resume();
    expect(recorder.log).toEqual([...DEVICES, "end mark", "vmdescription"]);
  });

  test("goes on as if nothing had been when it was not whole", () => {
    const bytes = describedStream();
    const recorder = new DeviceRecorder();
    // A vmdescription may follow where the stream was whole without one.
    const whole = describedStream({ description: undefined }).length;
    const decoder = decoderFor(recorder);
    for (const [index, byte] of bytes.entries()) {
      decoder.push(Uint8Array.of(byte));
      if (index + 1 !== whole && index + 1 !== bytes.length) expect(decoder.settle()).toBe(false);
    }
    decoder.end();
    expect(recorder.by).toEqual(["description", "description"]);
  });

  test("is not asked while it is suspended", () => {
    const decoder = decoderFor(new DeviceRecorder());
    decoder.suspend();
    expect(refusal(() => decoder.settle()).code).toBe("INTERNAL");
  });

  test("is not whole inside a package", () => {
    const decoder = decoderFor(new DeviceRecorder(true));
    decoder.push(
      written((w) => {
        writeHead(w);
        encodeCommand(w, { kind: "packaged", length: 1000 });
        writeDevices(w);
        encodeEndMark(w);
      }),
    );
    expect(decoder.holds).toBe(true);
    expect(decoder.settle()).toBe(false);
  });
});

test("where memory came without footers, devices are not cut by what looks like them", () => {
  const uart = uartWith("7e00000006000000");
  const bytes = written((w) => {
    const encoder = new RamPageEncoder();
    encodeHeader(w);
    encodeSectionHeader(w, { kind: "start", id: 2, ...RAM_SECTION });
    encodeRamBlockList(w, SMALL_BLOCKS);
    encoder.endOfSection(w);
    encodeSectionContinuation(w, { kind: "end", id: 2 });
    encoder.endOfSection(w);
    writeDevices(w, { footers: false, uart });
    encodeEndMark(w);
  });
  for (const end of ["settle", "end"] as const) {
    const recorder = new DeviceRecorder(true);
    const decoder = decoderFor(recorder);
    decoder.push(bytes.slice());
    expect(decoder.footers).toBe("absent");
    if (end === "end") decoder.end();
    else expect(decoder.settle() && decoder.resume()).toBe(true);
    expect(recorder.log[2]).toContain(`undivided ${toHex(uart)}`);
    expect(recorder.log.at(-1)).toBe("end mark");
  }
});
