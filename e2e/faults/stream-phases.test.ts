import { describe, expect, it } from "vitest";
import {
  ByteWriter,
  encodeBlockChunk,
  encodeBlockEnd,
  encodeCommand,
  encodeConfiguration,
  encodeEndMark,
  encodeFooter,
  encodeHeader,
  encodeSectionContinuation,
  encodeSectionHeader,
  encodeVmDescriptionText,
} from "@peregrine/protocol";
import { StreamPhases } from "./stream-phases.ts";

const ID = Array.from({ length: 16 }, (_, n) => n);

/** A stream as a source of ours sends it, with the place where each phase begins. */
function stream(): {
  readonly bytes: Uint8Array;
  readonly starts: Record<string, number>;
  readonly end: number;
} {
  const w = new ByteWriter();
  const starts: Record<string, number> = { connecting: 0, setup: 0 };
  const mark = (phase: string): void => {
    starts[phase] = w.view().length;
  };
  const handOver = (step: number): void => w.bytes(Uint8Array.from([8, 0x50, 0x45, 0, 17, step, ...ID]));
  const word = (value: number): void => w.be64(value);
  encodeHeader(w);
  encodeConfiguration(w, { machineType: "wasm-1", capabilities: [] });
  encodeCommand(w, { kind: "open-return-path" });
  encodeCommand(w, { kind: "ping", value: 1 });
  encodeCommand(w, { kind: "ping", value: 0x5045_0007 });
  encodeSectionHeader(w, { kind: "full", id: 1, name: "wasm-module", instance: 0, version: 1 });
  w.bytes(Uint8Array.from({ length: 500 }, (_, n) => n));
  encodeFooter(w, 1);
  encodeCommand(w, { kind: "ping", value: 2 });
  mark("first-pass");
  encodeSectionHeader(w, { kind: "start", id: 2, name: "block", instance: 0, version: 1 });
  encodeBlockEnd(w);
  encodeFooter(w, 2);
  encodeSectionHeader(w, { kind: "start", id: 3, name: "ram", instance: 0, version: 4 });
  word(0x4004);
  w.counted("wasm.ram");
  word(0x4000);
  word(0x10);
  encodeFooter(w, 3);
  encodeSectionContinuation(w, { kind: "part", id: 2 });
  encodeBlockChunk(w, "db", 0, new Uint8Array(1 << 20).fill(0x7e));
  encodeBlockEnd(w);
  encodeFooter(w, 2);
  encodeSectionContinuation(w, { kind: "part", id: 3 });
  word(0x0008);
  w.counted("wasm.ram");
  w.bytes(new Uint8Array(4096).fill(3));
  word(0x1022);
  w.u8(0);
  word(0x2028);
  w.bytes(new Uint8Array(4096).fill(0x10));
  mark("later-pass");
  word(0x1068);
  w.u8(1);
  w.be16(5);
  w.bytes(new Uint8Array(5));
  word(0x10);
  encodeFooter(w, 3);
  mark("switchover");
  encodeCommand(w, { kind: "ping", value: 3 });
  encodeSectionContinuation(w, { kind: "end", id: 2 });
  encodeBlockEnd(w);
  encodeFooter(w, 2);
  encodeSectionContinuation(w, { kind: "end", id: 3 });
  word(0x0028);
  w.bytes(new Uint8Array(4096));
  word(0x10);
  mark("device-state");
  encodeFooter(w, 3);
  encodeSectionHeader(w, { kind: "full", id: 4, name: "wasm-cpu", instance: 0, version: 1 });
  w.bytes(Uint8Array.from({ length: 300 }, (_, n) => n * 7));
  encodeFooter(w, 4);
  handOver(1);
  encodeEndMark(w);
  mark("description");
  encodeVmDescriptionText(w, JSON.stringify({ page_size: 4096, devices: [] }));
  const end = w.view().length;
  mark("after-end");
  handOver(2);
  return { bytes: Uint8Array.from(w.view()), starts, end };
}

describe("the phases of a stream", () => {
  const { bytes, starts, end } = stream();

  it.each([[bytes.length], [1000], [7], [1]])("are found in pieces of %d bytes", (size) => {
    const commands: [number, number][] = [];
    const phases = new StreamPhases(({ code, payload }) => commands.push([code, payload.at(0)!]));
    for (let at = 0; at < bytes.length; at += size) phases.push(bytes.subarray(at, at + size));
    expect(Object.fromEntries(phases.starts)).toEqual(starts);
    expect(phases.end).toBe(end);
    expect(phases.complete).toBe(true);
    expect(commands).toEqual([
      [2, 0],
      [2, 0x50],
      [2, 0],
      [2, 0],
      [0x5045, 1],
      [0x5045, 2],
    ]);
  });

  it("say where a byte is", () => {
    const phases = new StreamPhases();
    phases.push(bytes);
    expect(phases.phaseAt(0)).toBe("connecting");
    expect(phases.phaseAt(1)).toBe("setup");
    expect(phases.phaseAt(starts["device-state"]! + 1)).toBe("device-state");
    expect(phases.phaseAt(end)).toBe("description");
    expect(phases.phaseAt(end + 1)).toBe("after-end");
  });

  it("end with what is no such stream", () => {
    const phases = new StreamPhases();
    phases.push(bytes.subarray(0, starts["first-pass"]! + 200));
    phases.push(new Uint8Array(100_000).fill(0x55));
    expect(phases.end).toBeUndefined();
  });
});
