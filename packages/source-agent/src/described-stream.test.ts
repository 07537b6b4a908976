import {
  cutDevices,
  DEFAULT_LIMITS,
  parseVmDescription,
  RamDecoder,
  StreamDecoder,
} from "@peregrine/protocol";
import type { SectionHeader, VmDescription } from "@peregrine/protocol";
import { describedFields, stateFields } from "@peregrine/shared-state/testing";
import { connect, formatUri, listen } from "@peregrine/transport";
import type { Channel } from "@peregrine/transport";
import { expect, test, vi } from "vitest";
import { Source } from "./testing/source.ts";

/** Migrates to a receiver. @returns every byte that the source sent. */
async function recordMigration(source: Source): Promise<Uint8Array> {
  await using receiver = await source.receiver();
  const listener = await listen("tcp:127.0.0.1:0");
  source.migration.migrate(formatUri(listener.address));
  const [from, to] = [await listener.accept(), await connect(receiver.uri)];
  const sent: Uint8Array[] = [];
  const forward = copy(from, to, (chunk) => sent.push(chunk));
  await Promise.all([source.ended(), copy(to, from), forward, listener.close()]);
  expect(source.migration.error).toBeUndefined();
  return new Uint8Array(Buffer.concat(sent));
}

async function copy(from: Channel, to: Channel, seen: (chunk: Uint8Array) => void = () => {}): Promise<void> {
  for await (const chunk of from.read()) {
    seen(chunk.slice());
    await to.write(chunk);
  }
  await to.end();
}

interface Section {
  readonly header: SectionHeader;
  readonly payload: Uint8Array;
  /** Where the payload begins in the stream. */
  readonly at: number;
}

interface Parts {
  /** The sections of all devices. */
  readonly sections: readonly Section[];
  /** Behind the end mark. */
  readonly end: number;
  readonly description: VmDescription;
}

/** Reads a stream as somebody who knows none of its devices. */
function takeApart(bytes: Uint8Array): Parts {
  const sections: Section[] = [];
  let end = 0;
  let description: VmDescription | undefined;
  const sink = { blockList: () => {}, zeroPage: () => {}, page: () => {} };
  const ram = new RamDecoder({ limits: DEFAULT_LIMITS, sink });
  const decoder = new StreamDecoder({
    limits: DEFAULT_LIMITS,
    handler: {
      configuration: () => {},
      open: (header) => {
        if (header.kind === "start") return ram;
        const at = decoder.offset;
        return { payload: (payload) => sections.push({ header, payload: payload.slice(), at }) };
      },
      command: () => {},
      endMark: () => {
        end = decoder.offset;
      },
      vmDescription: (text) => {
        description = parseVmDescription(text);
      },
    },
  });
  decoder.push(bytes);
  decoder.end();
  if (description === undefined) throw new Error("the stream has no vmdescription");
  return { sections, end, description };
}

test("the devices in a stream can be walked with its vmdescription alone, and are what was saved", async () => {
  await using source = await Source.make();
  const names = ["test-layout", "test-guest", "globalstate"];
  const saves = names.map((name) => vi.spyOn(source.machine.devices.find(name, 0)!, "save"));
  const bytes = await recordMigration(source);
  const { sections, end, description } = takeApart(bytes);
  expect(sections.map(({ header }) => header.name)).toEqual(names);
  expect(description.devices.map(({ name }) => name)).toEqual(names);
  for (const [index, { payload }] of sections.entries()) {
    const saved = stateFields(await saves[index]!.mock.results[0]!.value);
    expect(saved.length).toBeGreaterThan(0);
    expect(describedFields(description.devices[index]!, payload)).toEqual(saved);
  }
  const [, late] = sections;
  const cuts = cutDevices(bytes.subarray(late!.at, end), late!.header, description);
  expect(cuts.map(({ header, offset, length }) => [header, late!.at + offset, length])).toEqual(
    sections.slice(1).map(({ header, payload, at }) => [header, at, payload.length]),
  );
});
