import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describedStream, DESCRIPTION, RTC, UART, writeDevices } from "../test/described.ts";
import type { DescribedStream } from "../test/described.ts";
import { decodeDevices, DeviceRecorder } from "../test/device-recorder.ts";
import { SMALL_BLOCKS, writeHead, writeRamSection, writeRamStart } from "../test/streams.ts";
import { chunked, fromHex, refusal, toHex, written } from "../test/support.ts";
import {
  cutDevices,
  DEFAULT_LIMITS,
  encodeCommand,
  encodeEndMark,
  encodeFooter,
  encodeSectionHeader,
  encodeVmDescription,
  MigrationError,
  RamPageEncoder,
  StreamDecoder,
} from "./index.ts";

/** Where the payload of the first device begins. */
const PAYLOAD_AT = 37;
const DEVICES = [`uart ${toHex(UART)}`, "ping", `rtc ${toHex(RTC)}`];
const END = ["end mark", "vmdescription"];

const FORMS: readonly (readonly [name: string, stream: DescribedStream, by: string, log: string[]])[] = [
  ["footers and a vmdescription", {}, "description", [...DEVICES, ...END]],
  ["a vmdescription only", { footers: false }, "description", [...DEVICES, ...END]],
  ["footers only", { description: undefined }, "footer", [...DEVICES, "end mark"]],
];

describe.each(FORMS)("device sections with %s", (_name, stream, by, log) => {
  const bytes = describedStream(stream);

  test("are told apart, byte by byte", () => {
    const { log: seen, by: cut } = decodeDevices(Array.from(bytes, (byte) => Uint8Array.of(byte)));
    expect(seen).toEqual(log);
    expect(cut).toEqual([by, by]);
  });

  test("at every split point", () => {
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      expect(decodeDevices([bytes.slice(0, cut), bytes.slice(cut)]).log).toEqual(log);
    }
  });

  test("a handler may stop behind each payload", () => {
    const recorder = new DeviceRecorder();
    const open = recorder.open.bind(recorder);
    const decoder = new StreamDecoder({
      limits: DEFAULT_LIMITS,
      footers: "detected",
      handler: Object.assign(recorder, {
        open: (header: Parameters<typeof open>[0]) => {
          decoder.suspend();
          return open(header);
        },
      }),
    });
    let free = decoder.push(bytes.slice());
    while (!free) free = decoder.resume();
    free = decoder.end();
    while (!free) free = decoder.resume() && decoder.end();
    expect(recorder.log).toEqual(log);
  });
});

describe("what looks like the end of a device inside it", () => {
  /** The fields of the uart that are free, filled with other bytes. */
  function uartWith(hex: string): Uint8Array {
    const uart = UART.slice();
    uart.set(fromHex(hex), 5);
    return uart;
  }

  test("a footer with nothing behind it that can follow is no end", () => {
    const uart = uartWith("7e00000006ff");
    const { log } = decodeDevices([describedStream({ description: undefined, uart })]);
    expect(log[0]).toBe(`uart ${toHex(uart)}`);
  });

  test("a footer with more commands behind it than a stream has is no end", () => {
    const devices = (commands: number) =>
      written((w) => {
        writeHead(w);
        encodeSectionHeader(w, { kind: "full", id: 6, name: "uart", instance: 0, version: 3 });
        encodeFooter(w, 6);
        for (let left = commands; left > 0; left -= 1) encodeCommand(w, { kind: "postcopy-run" });
        encodeSectionHeader(w, { kind: "full", id: 9, name: "rtc", instance: 1, version: 1 });
        encodeFooter(w, 9);
        encodeEndMark(w);
      });
    const { log } = decodeDevices([devices(64)]);
    expect([log[0], log.at(-2), log.length]).toEqual(["uart ", "rtc ", 67]);
    for (const commands of [65, 100_000]) {
      const decode = () => decodeDevices([devices(commands)], new DeviceRecorder(), { footers: "required" });
      expect(refusal(decode)).toMatchObject({ code: "TRUNCATED", section: "uart" });
    }
  });

  test("the vmdescription decides against a whole section that was made up", () => {
    const uart = uartWith("7e000000060800020004");
    const { log, by } = decodeDevices([describedStream({ uart })]);
    expect(log).toEqual([`uart ${toHex(uart)}`, ...DEVICES.slice(1), ...END]);
    expect(by).toEqual(["description", "description"]);
  });

  test("a made-up vmdescription in a payload is passed over", () => {
    const uart = uartWith("0006000000027b22");
    expect(decodeDevices([describedStream({ uart })]).log).toEqual([
      `uart ${toHex(uart)}`,
      ...DEVICES.slice(1),
      ...END,
    ]);
  });
});

test("devices in front of the memory are cut by their footers at once", () => {
  const front = written((w) => {
    writeHead(w);
    writeDevices(w);
    writeRamStart(w, new RamPageEncoder(), SMALL_BLOCKS);
  });
  const recorder = new DeviceRecorder();
  const decoder = new StreamDecoder({ limits: DEFAULT_LIMITS, handler: recorder });
  decoder.push(front);
  expect(recorder.log).toEqual([...DEVICES, "start ram"]);
  decoder.push(written((w) => writeRamSection(w, new RamPageEncoder(), "end")));
  decoder.push(
    written((w) => {
      writeDevices(w);
      encodeEndMark(w);
      encodeVmDescription(w, { ...DESCRIPTION, devices: [...DESCRIPTION.devices] });
    }),
  );
  decoder.end();
  expect(recorder.log.slice(4)).toEqual(["end ram", ...DEVICES, ...END]);
  expect(recorder.by).toEqual(["footer", "footer", "description", "description"]);
});

test("a package among described devices is read by its footers, whatever has come of the description", () => {
  const bytes = written((w) => {
    writeHead(w);
    const devices = written(writeDevices);
    const uartEnd = PAYLOAD_AT - w.length + UART.length + 5;
    w.bytes(devices.subarray(0, uartEnd));
    encodeCommand(w, { kind: "packaged", length: devices.length - uartEnd });
    w.bytes(devices.subarray(uartEnd));
    encodeEndMark(w);
    encodeVmDescription(w, DESCRIPTION);
  });
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const { log, by } = decodeDevices([bytes.slice(0, cut), bytes.slice(cut)]);
    expect(log).toEqual([DEVICES[0], "packaged", ...DEVICES.slice(1), "package end", ...END]);
    expect(by).toEqual(["footer", "footer"]);
  }
});

describe("devices between sections of the memory", () => {
  const encoder = new RamPageEncoder();
  const START = written((w) => {
    writeHead(w);
    writeRamStart(w, encoder, SMALL_BLOCKS);
    writeDevices(w);
  });

  test("end at a part of it, at every split point", () => {
    const bytes = new Uint8Array([...START, ...written((w) => writeRamSection(w, encoder, "end")), 0]);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const { log, by } = decodeDevices([bytes.slice(0, cut), bytes.slice(cut)]);
      expect(log).toEqual(["start ram", ...DEVICES, "end ram", "end mark"]);
      expect(by).toEqual(["footer", "footer"]);
    }
  });

  test("end at a package", () => {
    const recorder = new DeviceRecorder();
    const decoder = new StreamDecoder({ limits: DEFAULT_LIMITS, handler: recorder });
    decoder.push(START.slice());
    expect(recorder.log).toEqual(["start ram"]);
    decoder.push(written((w) => encodeCommand(w, { kind: "packaged", length: 0 })));
    expect(recorder.log).toEqual(["start ram", ...DEVICES, "packaged", "package end"]);
  });

  test("do not end at a part of a section that was not started", () => {
    const bytes = new Uint8Array([...START, 2, 0, 0, 0, 77]);
    expect(refusal(() => decodeDevices([bytes]))).toMatchObject({ code: "TRUNCATED", section: "rtc" });
  });
});

describe("a stream with neither footers nor a vmdescription", () => {
  const stream = { footers: false, description: undefined };

  test("is refused", () => {
    expect(refusal(() => decodeDevices([describedStream(stream)]))).toMatchObject({
      code: "BAD_SECTION",
      section: "uart",
      message: expect.stringMatching(
        /^The device sections from 'uart' on cannot be told apart: the stream has neither section footers nor a vmdescription that fits\. .* \(section 'uart', byte 37, last good section 'configuration'\)$/u,
      ),
    });
  });

  test("is kept undivided by who wants it so, at every split point", () => {
    const bytes = describedStream(stream);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const chunks = [bytes.slice(0, cut), bytes.slice(cut)];
      const { log } = decodeDevices(chunks, new DeviceRecorder(true));
      expect(log).toEqual([`undivided ${toHex(bytes.subarray(PAYLOAD_AT, -1))}`, "end mark"]);
    }
  });

  test("is refused when its end mark is missing", () => {
    const bytes = describedStream(stream);
    bytes[bytes.length - 1] = 0x55;
    expect(refusal(() => decodeDevices([bytes], new DeviceRecorder(true)))).toMatchObject({
      code: "BAD_SECTION",
      message: expect.stringContaining("Unknown savevm section type 85"),
    });
  });
});

test("a vmdescription that does not fit is not believed", () => {
  const description = { ...DESCRIPTION, devices: DESCRIPTION.devices.slice(0, 1) };
  expect(decodeDevices([describedStream({ description })]).by).toEqual(["footer", "footer"]);
  expect(refusal(() => decodeDevices([describedStream({ description, footers: false })]))).toMatchObject({
    code: "BAD_SECTION",
    message: expect.stringContaining("cannot be told apart"),
  });
});

test("a truncated stream: every device that is whole, then what is missing", () => {
  const bytes = describedStream();
  const uartEnd = PAYLOAD_AT + UART.length + 5;
  for (let length = PAYLOAD_AT + 1; length < bytes.length; length += 1) {
    const recorder = new DeviceRecorder();
    const end = () => decodeDevices([bytes.slice(0, length)], recorder);
    const ended = length === describedStream({ description: undefined }).length;
    if (ended) end();
    else if (length < uartEnd) expect(refusal(end)).toMatchObject({ code: "BAD_SECTION" });
    else expect(refusal(end)).toMatchObject({ code: "TRUNCATED", offset: length });
    expect(recorder.log.includes(DEVICES[0]!)).toBe(length >= uartEnd);
  }
});

test("more than the limit is not held", () => {
  const limits = { ...DEFAULT_LIMITS, maxDeviceTailBytes: 4096 };
  const bytes = describedStream({ uart: new Uint8Array(5000) });
  const error = refusal(() => decodeDevices([bytes], new DeviceRecorder(), { limits }));
  expect(error).toMatchObject({ code: "LIMIT_EXCEEDED", section: "uart", offset: PAYLOAD_AT });
  expect(error.message).toContain("bytes of device sections are more than the limit of 4096");
});

test("a section with parts cannot be taken whole", () => {
  const bytes = written((w) => {
    writeHead(w);
    writeRamStart(w, new RamPageEncoder(), SMALL_BLOCKS);
  });
  const recorder = Object.assign(new DeviceRecorder(), { open: () => ({ payload: () => {} }) });
  expect(refusal(() => decodeDevices([bytes], recorder))).toMatchObject({ code: "INTERNAL" });
});

describe("cutting a tail", () => {
  const first = { kind: "full", id: 6, name: "uart", instance: 0, version: 3 } as const;
  const tail = describedStream({ description: undefined }).subarray(PAYLOAD_AT);

  test("gives every payload its place", () => {
    expect(cutDevices(tail, first, DESCRIPTION)).toEqual([
      { header: first, device: DESCRIPTION.devices[0], offset: 0, length: UART.length },
      {
        header: { kind: "full", id: 9, name: "rtc", instance: 1, version: 1 },
        device: DESCRIPTION.devices[1],
        offset: tail.length - 1 - 5 - RTC.length,
        length: RTC.length,
      },
    ]);
  });

  test("refuses every tail that is cut short", () => {
    for (let length = 0; length < tail.length; length += 1) {
      expect(refusal(() => cutDevices(tail.subarray(0, length), first, DESCRIPTION))).toBeInstanceOf(
        MigrationError,
      );
    }
  });

  test("refuses another device", () => {
    expect(refusal(() => cutDevices(tail, { ...first, instance: 1 }, DESCRIPTION)).message).toBe(
      "The vmdescription does not fit the section 'uart' 1: it has another section there",
    );
  });
});

test("a payload full of beginnings of vmdescriptions is refused", () => {
  const uart = fromHex("0006000000007b22".repeat(70));
  expect(refusal(() => decodeDevices([describedStream({ uart })]))).toMatchObject({
    code: "LIMIT_EXCEEDED",
    message: expect.stringContaining("65 beginnings of a vmdescription are more than the limit of 64"),
  });
});

test("whatever is changed in a stream, it is decoded or refused", () => {
  const forms = FORMS.map(([, stream]) => describedStream(stream));
  const change = fc.record({ at: fc.nat(), byte: fc.nat(255) });
  fc.assert(
    fc.property(
      fc.constantFrom(...forms),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      fc.nat(),
      fc.array(fc.integer({ min: 1, max: 400 })),
      (form, changes, end, cuts) => {
        const bytes = form.slice();
        for (const { at, byte } of changes) bytes[at % bytes.length] = byte;
        const chunks = chunked(bytes.subarray(0, bytes.length - (end % 8)), cuts);
        try {
          decodeDevices(chunks, new DeviceRecorder(true));
        } catch (error) {
          if (!MigrationError.is(error) || error.code === "INTERNAL") throw error;
        }
      },
    ),
    { numRuns: 3000 },
  );
});
