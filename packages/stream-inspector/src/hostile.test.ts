import { DEFAULT_LIMITS } from "@peregrine/protocol";
import { hash } from "node:crypto";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { inspected } from "../test/inspected.ts";
import { mappedStream } from "../test/mapped-stream.ts";
import { smallStream } from "../test/small-stream.ts";
import { fieldTree } from "./device-fields.ts";
import { DeviceStore } from "./device-store.ts";
import { PageDigests } from "./page-digests.ts";
import { StrictCheck } from "./strict-check.ts";

const STREAMS = [
  smallStream({ end: () => {} }),
  smallStream({ end: () => {}, described: null }),
  smallStream({ end: () => {}, configuration: null, footers: false }),
  smallStream({ end: () => {}, configuration: null, footers: false, described: null }),
  mappedStream(0),
];
/** Where bytes are more than the contents of pages. */
const INTERESTING = STREAMS.map((stream) => {
  const offsets = [...stream.keys()];
  return offsets.filter((at) => at < 300 || at > stream.length - 1500 || stream[at - 4] === 0x7e);
});

const change = fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) });

test("whatever is changed in a stream, it is read or refused with a MigrationError", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(STREAMS.length - 1),
      fc.array(change, { maxLength: 4 }),
      fc.option(fc.nat(3000)),
      async (index, changes, cut) => {
        const bytes = STREAMS[index]!.slice();
        for (const { at, byte } of changes) {
          const places = INTERESTING[index]!;
          bytes[places[at % places.length]!] = byte;
        }
        const whole = cut === null ? bytes : bytes.subarray(0, Math.max(0, bytes.length - cut));
        const store = new DeviceStore(DEFAULT_LIMITS);
        const strict = new StrictCheck(DEFAULT_LIMITS);
        const memory = new PageDigests({ digest: (page) => hash("sha1", page, "buffer") });
        const { summary, fault } = await inspected(whole, {
          memory,
          listener: {
            event: (event) => strict.event(event),
            device: (header, payload, cutBy) => {
              store.add(header, payload, cutBy);
              strict.device(header, payload, cutBy);
            },
            described: (description) => {
              store.description = description;
              strict.described(description);
            },
          },
        });
        expect(summary.bytes).toBeLessThanOrEqual(whole.length);
        if (fault === undefined) expect(summary).toMatchObject({ bytes: whole.length, complete: true });
        for (const { header, payload } of fault === undefined ? store.devices : []) {
          const described = store.describedAs(header);
          if (described !== undefined) fieldTree(described, payload);
        }
      },
    ),
    { numRuns: 400 },
  );
});
