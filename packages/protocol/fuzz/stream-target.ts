import * as fc from "fast-check";
import { chunkSizes, mutate, mutations } from "./mutation.ts";
import type { Sample } from "./mutation.ts";
import { requireSame } from "./oracle.ts";
import type { Allocations } from "./oracle.ts";
import { thinnedRecordings } from "./recordings.ts";
import { smallStreams } from "./samples.ts";
import { ANY_FORM, LIMITS, runStream } from "./stream-run.ts";

interface StreamSample extends Sample {
  /** Bytes of its devices, by name and instance. */
  readonly devices: ReadonlyMap<string, number>;
  readonly disks: boolean;
}

function sampleOf(name: string, bytes: Uint8Array): StreamSample {
  const { log, lengths, error } = runStream(bytes, [], ANY_FORM);
  if (error !== undefined) throw new Error(`the sample '${name}' is refused: ${error.message}`);
  const ends = [...log.ends.values()];
  return { name, bytes, ends, devices: lengths, disks: name.includes("block") || name === "a disk" };
}

/** Main streams of all eras: in any chunks a mutated one is decoded to the same, or refused for the same. */
export function streamProperty(allocations: Allocations): fc.IPropertyWithHooks<unknown> {
  const samples = Object.entries({ ...smallStreams(), ...thinnedRecordings() }).map(([name, bytes]) =>
    sampleOf(name, bytes),
  );
  return fc.property(
    fc.nat(samples.length - 1),
    mutations,
    chunkSizes,
    fc.record({
      configuration: fc.constantFrom("required", "optional"),
      footers: fc.constantFrom("required", "detected"),
      undivided: fc.boolean(),
      suspendAt: fc.constantFrom(0, 0, 1, 3, 50),
      settle: fc.nat(5).map((one) => one === 0),
    }),
    fc.nat(7),
    (index, changes, sizes, form, knownPart) => {
      const sample = samples[index]!;
      const bytes = mutate(sample, changes, samples);
      const known = new Map([...sample.devices].filter((_, at) => knownPart > 0 && at % 8 < knownPart));
      const limits = { ...LIMITS, maxItemBytes: sample.disks ? 2 ** 21 : LIMITS.maxItemBytes };
      const whole = { ...form, known, limits };
      allocations.reset();
      const cut = runStream(bytes, sizes, whole);
      allocations.requireWithin(
        2 * (Math.max(limits.maxItemBytes, limits.maxDeviceTailBytes) + bytes.length),
        bytes.length,
      );
      // A stream that is taken as whole in the middle may be another one.
      if (!form.settle) requireSame(cut, runStream(bytes, [], { ...whole, suspendAt: 0 }));
    },
  );
}
