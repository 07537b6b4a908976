import { MigrationError } from "@peregrine/protocol";
import * as fc from "fast-check";
import { echoedId, parseRequest } from "../../packages/monitor/src/request.ts";
import { decodeMessage, encodeMessage } from "../../packages/monitor/src/web/message-pack.ts";
import { mutate, mutations } from "../../packages/protocol/fuzz/mutation.ts";
import { require, requireKnownCode } from "../../packages/protocol/fuzz/oracle.ts";
import type { Allocations } from "../../packages/protocol/fuzz/oracle.ts";
import { request } from "./qmp-target.ts";

/** Heads of what says how much follows: arrays, maps, strings, bytes, extensions. */
const HEADS = ["dc", "dd", "de", "df", "d9", "da", "db", "c4", "c5", "c6", "c7", "c8", "c9", "d4", "d8"];
const LENGTHS = ["ff", "ffff", "ffffffff", "00", "0001", "00000010", "7fffffff", ""];
const head = fc
  .tuple(fc.constantFrom(...HEADS, "9f", "8f", "91", "81", "bf", "c0", "c1"), fc.constantFrom(...LENGTHS))
  .map(([code, length]) => Buffer.from(code + length, "hex"));
const nested = fc
  .tuple(fc.array(head, { minLength: 1, maxLength: 4 }), fc.nat(20_000))
  .map(([heads, times]) => {
    const once = Buffer.concat(heads);
    const most = Math.min(times, Math.floor(65_536 / once.length));
    return Buffer.concat(Array.from({ length: most }, () => once));
  });
const good = request.map((one) => Buffer.from(encodeMessage(one)));
const message = fc.oneof(
  { weight: 4, arbitrary: good },
  { weight: 2, arbitrary: nested },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
);

/** Messages in MessagePack: one is a value that JSON has, which is the same when it is written again, or it is refused. */
export function messagePackProperty(allocations: Allocations): fc.IPropertyWithHooks<unknown> {
  return fc.property(message, mutations, (sample, changes) => {
    const ends = [...sample.keys()].filter((at) => sample[at]! >= 0x80);
    const bytes = mutate({ name: "message", bytes: sample, ends: [[0], ends] }, changes);
    allocations.reset();
    let value: unknown;
    try {
      value = decodeMessage(bytes);
    } catch (error) {
      require(requireKnownCode(error).code === "BAD_COMMAND", "a message refused for something else");
      require(allocations.total <=
        64 * bytes.length + 65_536, `${allocations.total} bytes for ${bytes.length}`);
      return;
    }
    require(allocations.total <=
      64 * bytes.length + 65_536, `${allocations.total} bytes for ${bytes.length}`);
    const json = JSON.stringify(value);
    require(JSON.stringify(decodeMessage(encodeMessage(value))) === json, "a value that is another one now");
    try {
      JSON.stringify({ ...parseRequest(value), ...echoedId(value) });
    } catch (error) {
      if (!MigrationError.is(error)) throw error;
    }
  });
}
