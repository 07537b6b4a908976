import * as fc from "fast-check";
import { encodeReturnMessage, ReturnPathDecoder } from "../src/index.ts";
import type { MigrationError } from "../src/index.ts";
import { fixture, fixtureFile } from "../test/fixtures.ts";
import { chunked, written } from "../test/support.ts";
import { chunkSizes, mutate, mutations } from "./mutation.ts";
import type { Sample } from "./mutation.ts";
import { CallLog, requireRefusal, requireSame } from "./oracle.ts";
import type { Allocations, Outcome } from "./oracle.ts";
import { LIMITS } from "./stream-run.ts";

const RECORDED = ["pc-72-retpath", "pc-72-postcopy", "pc-100-retpath", "pc-100-postcopy"];

const REST = written((w) => {
  encodeReturnMessage(w, { kind: "request-pages", block: "pc.ram", start: 4096, length: 8192 });
  encodeReturnMessage(w, { kind: "recv-bitmap", block: "pc.ram", bitmap: new Uint8Array(1024).fill(7) });
  encodeReturnMessage(w, { kind: "resume-ack", value: 1 });
  encodeReturnMessage(w, { kind: "switchover-ack" });
  encodeReturnMessage(w, { kind: "loaded", migration: "00112233445566778899aabbccddeeff" });
  encodeReturnMessage(w, { kind: "alive" });
  encodeReturnMessage(w, { kind: "reason", text: "There is no room, é" });
});

function runReturnPath(bytes: Uint8Array, sizes: readonly number[]): Outcome {
  const log = new CallLog(bytes.length);
  const decoder: ReturnPathDecoder = new ReturnPathDecoder({
    limits: LIMITS,
    message: (message) => {
      log.add(decoder.offset, message.kind, JSON.stringify(message));
    },
  });
  let pushed = 0;
  let error: MigrationError | undefined;
  try {
    for (const chunk of chunked(bytes, sizes)) {
      pushed += chunk.length;
      decoder.push(chunk);
      chunk.fill(0xee);
    }
    decoder.end();
  } catch (thrown) {
    error = requireRefusal(
      thrown,
      Math.max(0, ...[...log.ends.values()].map((ends) => ends.at(-1)!)),
      pushed,
    );
  }
  return { log, error: error?.serialize() };
}

/** Return paths: in any chunks a mutated one is decoded to the same, or refused for the same. */
export function returnPathProperty(allocations: Allocations): fc.IPropertyWithHooks<unknown> {
  const recorded = RECORDED.map((name) => fixtureFile(fixture(name), `${name}.c0.back`));
  const samples = [REST, ...recorded].map((bytes): Sample => {
    return { name: "return path", bytes, ends: [...runReturnPath(bytes, []).log.ends.values()] };
  });
  return fc.property(fc.nat(samples.length - 1), mutations, chunkSizes, (index, changes, sizes) => {
    const bytes = mutate(samples[index]!, changes, samples);
    allocations.reset();
    const cut = runReturnPath(bytes, sizes);
    allocations.requireWithin(2 * (LIMITS.maxReceivedBitmapBytes + bytes.length) + 1024, bytes.length);
    requireSame(cut, runReturnPath(bytes, []));
  });
}
