import { ByteWriter, encodeFooter, encodeMultifdDeviceState, MigrationError } from "@peregrine/protocol";
import { openMachineRam } from "@peregrine/shared-state/testing";
import { describe, expect, test } from "vitest";
import { openCompressor } from "../../protocol/test/compressors.ts";
import { crashingAccess } from "../test/crashing-ram.ts";
import { feedImage, keptOpen } from "../test/in-process.ts";
import { memoryOf } from "../test/machines.ts";
import { channelPieces, mainStream, UUID } from "../test/multifd-stream.ts";
import type { ChannelItem, Meetings } from "../test/multifd-stream.ts";
import { pageOf, qemuStream, RAM_ID, TODAY } from "../test/qemu-stream.ts";
import { bytesOf } from "../test/stream-maker.ts";

const SYNCS: readonly ChannelItem[] = ["sync", "sync", "sync"];
const MAIN = mainStream(qemuStream(), "flush records");

const page = (index: number, seed: number): ChannelItem => ({ page: index, bytes: pageOf(seed) });

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** Loads the usual main stream with these channels, which stay open. */
async function load(
  channels: readonly (readonly Uint8Array[])[],
  options: Partial<Parameters<typeof feedImage>[0]> = {},
): ReturnType<typeof feedImage> {
  return feedImage({
    chunks: keptOpen(MAIN.bytes),
    multifd: channels.map((pieces) => keptOpen(...pieces)),
    ...options,
  });
}

describe.each<Meetings>(["flush records", "section ends"])("channels that meet at %s", (meetings) => {
  test("are read side by side, and none goes on before all have come", async () => {
    const first = await channelPieces(["sync", page(0, 1), page(1, 2), "sync", page(2, 3), "sync"]);
    const second = await channelPieces(["sync", page(3, 4), "sync", page(0, 5), "sync"], { channel: 1 });
    async function* slow(): AsyncGenerator<Uint8Array, void, void> {
      for (const piece of first) {
        // The other channel has sent all it has, and would be done by then.
        await turns(5);
        yield piece;
      }
      yield* keptOpen();
    }
    const { error, image, statistics } = await feedImage({
      chunks: keptOpen(mainStream(qemuStream(), meetings).bytes),
      multifd: [slow(), keptOpen(Buffer.concat(second))],
    });
    expect(error).toBeUndefined();
    const [ram] = memoryOf(await openMachineRam(image));
    const expected = Buffer.concat([...[5, 2, 3, 4].map(pageOf), new Uint8Array(4 * 4096)]);
    expect(Buffer.compare(ram!, expected)).toBe(0);
    expect(statistics.progress().pages).toBe(5);
    expect(image.carried.opening().uuid).toEqual(UUID);
  });

  test("go on though the footer is not there: it comes with what the source sends next", async () => {
    const main = Buffer.from(mainStream(qemuStream(), meetings).bytes);
    const footer = main.indexOf(Buffer.from(bytesOf((w) => encodeFooter(w, RAM_ID))));
    const channel = await channelPieces(["sync", page(0, 1), "sync", "sync"]);
    const taken = Promise.withResolvers<void>();
    async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
      yield main.subarray(0, footer);
      await taken.promise;
      yield* keptOpen(main.subarray(footer));
    }
    async function* pieces(): AsyncGenerator<Uint8Array, void, void> {
      yield* channel.slice(0, 3);
      taken.resolve();
      yield* keptOpen(...channel.slice(3));
    }
    const { error, statistics } = await feedImage({ chunks: chunks(), multifd: [pieces()] });
    expect(error).toBeUndefined();
    expect(statistics.progress().pages).toBe(1);
  });

  test("hold the main stream back until they are there", async () => {
    const read: number[] = [];
    const main = mainStream(qemuStream(), meetings, 3);
    const channel = await channelPieces(["sync", "sync", "sync", "sync", "sync"]);
    let synced = 0;
    async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
      for (const { bytes } of main.pieces) {
        read.push(synced);
        yield bytes;
      }
      yield* keptOpen();
    }
    async function* slow(): AsyncGenerator<Uint8Array, void, void> {
      yield channel[0]!;
      for (const piece of channel.slice(1)) {
        await turns(5);
        synced++;
        yield piece;
      }
      yield* keptOpen();
    }
    expect((await feedImage({ chunks: chunks(), multifd: [slow()] })).error).toBeUndefined();
    // Header, configuration, two commands, START; three parts; the switchover, END; the devices and the end.
    expect(read).toEqual([0, 0, 0, 0, 0, 1, 2, 3, 4, 4, 5, 5, 5, 5]);
  });

  test("may end when their work is done, before the main stream does", async () => {
    const channel = await channelPieces(SYNCS);
    const chunks = keptOpen(mainStream(qemuStream(), meetings).bytes);
    expect((await feedImage({ chunks, multifd: [channel] })).error).toBeUndefined();
  });
});

describe("compressed channels", () => {
  test.each(["zlib", "zstd"] as const)("of %s are one stream each", async (compression) => {
    const compressor = openCompressor(compression);
    const items: ChannelItem[] = ["sync", ...[0, 1, 2, 3].map((at) => page(at, 20 + at)), "sync", "sync"];
    const { error, image } = await load([await channelPieces(items, { compressor })]);
    expect(error).toBeUndefined();
    const [ram] = memoryOf(await openMachineRam(image));
    expect(Buffer.compare(ram!.subarray(0, 4 * 4096), Buffer.concat([20, 21, 22, 23].map(pageOf)))).toBe(0);
  });

  test.each([
    ["zlib", "much more", 64 * 1024 * 1024],
    ["zstd", "much more", 64 * 1024 * 1024],
    ["zlib", "a byte more", 4097],
    ["zlib", "less", 4095],
  ] as const)("of %s that make %s than they say are refused", async (compression, _, size) => {
    const honest = openCompressor(compression);
    const compressor = { compression, compress: () => honest.compress(new Uint8Array(size)) };
    const { error } = await load([await channelPieces(["sync", page(0, 1), "sync"], { compressor })]);
    expect(error).toMatchObject({ code: "BAD_PACKET", section: "multifd channel 0" });
    expect(error?.message).toContain(`its ${compression} data does not decompress to 4096 bytes`);
  });

  test("that are damaged are refused", async () => {
    const compressor = { compression: "zstd" as const, compress: async () => new Uint8Array(100).fill(9) };
    const { error } = await load([await channelPieces(["sync", page(0, 1), "sync"], { compressor })]);
    expect(error).toMatchObject({ code: "BAD_PACKET", section: "multifd channel 0" });
  });
});

describe("a load over channels fails", () => {
  test("when one breaks, with what it broke of", async () => {
    const broken = new MigrationError("CHANNEL_FAILED", "Connection to 'a' failed: Connection reset by peer");
    const pieces = await channelPieces(["sync"]);
    async function* breaking(): AsyncGenerator<Uint8Array, void, void> {
      yield* pieces;
      throw broken;
    }
    const other = await channelPieces(["sync"], { channel: 1 });
    const { error, committed } = await load([], { multifd: [breaking(), keptOpen(...other)] });
    expect(error).toBe(broken);
    expect(committed).toBe(false);
  });

  test.each([
    ["exit", "The thread of a multifd channel failed: it ended with exit code 3"],
    ["throw", "The thread of a multifd channel failed: the memory is gone"],
    ["open", "no such memory"],
  ] as const)("when the thread of one dies (%s)", async (crash, message) => {
    const channels = [
      await channelPieces(["sync", page(0, 1), "sync", "sync"]),
      await channelPieces(SYNCS, { channel: 1 }),
    ];
    const { error, committed } = await load(channels, { access: (access) => crashingAccess(access, crash) });
    expect(error?.message).toBe(message);
    expect(committed).toBe(false);
  });

  test("when one ends in the middle of a page", async () => {
    const whole = Buffer.concat(await channelPieces(["sync", page(0, 1)], { channel: 1 }));
    const other = await channelPieces(SYNCS);
    const { error } = await load([], {
      multifd: [keptOpen(...other), [whole.subarray(0, whole.length - 7)]],
    });
    expect(error).toMatchObject({ code: "TRUNCATED", section: "multifd channel 1" });
    expect(error?.message).toContain("The stream ended where a page of 4096 bytes was expected");
  });

  test("when one ends while it is still needed", async () => {
    const other = await channelPieces(SYNCS);
    const { error } = await load([], {
      multifd: [keptOpen(...other), await channelPieces(["sync"], { channel: 1 })],
    });
    expect(error?.message).toBe("Multifd channel 1 ended before the end of section 'ram'");
  });

  test("when one is cut while it is still needed, and not when it has done its work", async () => {
    const other = await channelPieces(SYNCS);
    async function* cut(items: readonly ChannelItem[]): AsyncGenerator<Uint8Array, void, void> {
      yield* await channelPieces(items, { channel: 1 });
      throw new MigrationError("CHANNEL_CUT", "it was cut");
    }
    const early = await load([], { multifd: [keptOpen(...other), cut(["sync"])] });
    expect(early.error?.message).toBe("Multifd channel 1 ended before the end of section 'ram'");
    const late = await load([], { multifd: [keptOpen(...other), cut(SYNCS)] });
    expect(late.error).toBeUndefined();
  });

  test("when there are too few", async () => {
    const { error } = await load([await channelPieces(SYNCS)], { multifdChannels: 3, channelsWait: 50 });
    expect(error).toMatchObject({
      code: "LOAD_FAILED",
      message:
        "The source has opened 1 of the 3 multifd channels that are expected here: set multifd-channels alike at " +
        "both ends, or switch multifd off at both",
    });
  });

  const tooMany =
    "The source has more multifd channels than the 1 that are expected here: set multifd-channels";

  test("when there are too many", async () => {
    const channels = [await channelPieces(SYNCS), await channelPieces(SYNCS, { channel: 1 })];
    const { error } = await load(channels, { multifdChannels: 1 });
    expect(error).toMatchObject({ code: "LOAD_FAILED", message: expect.stringContaining(tooMany) });
  });

  test("when the number of one is too high", async () => {
    const { error } = await load([await channelPieces(SYNCS, { channel: 1 })]);
    expect(error).toMatchObject({ code: "LOAD_FAILED", message: expect.stringContaining(tooMany) });
  });

  test("when two have one number", async () => {
    const { error } = await load([await channelPieces(SYNCS), await channelPieces(SYNCS)]);
    expect(error).toMatchObject({ code: "BAD_PACKET" });
    expect(error?.message).toMatch(/^Multifd channel 0 was opened twice \(section 'multifd channel 0'/u);
  });

  test("when they belong to two machines", async () => {
    const other = await channelPieces(SYNCS, { channel: 1, uuid: new Uint8Array(16) });
    const { error } = await load([await channelPieces(SYNCS), other]);
    expect(error).toMatchObject({
      code: "LOAD_FAILED",
      message: expect.stringMatching(/^Multifd channel \d belongs to another virtual machine/u),
    });
  });

  test("when they belong to another machine than the stream", async () => {
    const stream = qemuStream({ ...TODAY, configuration: { uuid: new Uint8Array(16) } });
    const { error } = await load([await channelPieces(SYNCS)], {
      chunks: [mainStream(stream, "flush records").bytes],
    });
    expect(error).toMatchObject({
      code: "LOAD_FAILED",
      message: "The multifd channels belong to another virtual machine than the stream: their UUIDs differ",
    });
  });

  test("on device state, which nobody here would take", async () => {
    const w = new ByteWriter();
    encodeMultifdDeviceState(w, { kind: "device-state", name: "vfio", instance: 0, payloadBytes: 0 });
    const { error } = await load([[...(await channelPieces(["sync"])), w.view()]]);
    expect(error?.message).toContain("device state of 'vfio' cannot be loaded from a multifd channel here");
  });

  test.each([
    ["in an unknown block", { page: 0, bytes: pageOf(0), block: "pc.rom" }, 'Unknown ramblock "pc.rom"'],
    ["outside its block", page(8, 0), "Illegal RAM offset 8000"],
  ])("on a page %s", async (_, item, text) => {
    const { error } = await load([await channelPieces(["sync", item, "sync"])]);
    expect(error).toMatchObject({ section: "multifd channel 0", message: expect.stringContaining(text) });
  });

  test("on a page before the list of blocks", async () => {
    const { error } = await load([await channelPieces([page(0, 0)])], {
      chunks: keptOpen(MAIN.upTo("ram-start")),
    });
    expect(error?.message).toContain('Unknown ramblock "pc.ram", cannot accept migration');
  });

  test("on a page behind the end of memory, also when everything else has come", async () => {
    const committing = Promise.withResolvers<void>();
    const pieces = await channelPieces([...SYNCS, page(0, 9)]);
    async function* late(): AsyncGenerator<Uint8Array, void, void> {
      yield* pieces.slice(0, -1);
      await committing.promise;
      yield pieces.at(-1)!;
    }
    const { error, sent } = await load([], {
      multifd: [late()],
      target: {
        commit: () => {
          committing.resolve();
          return new Promise(() => {});
        },
      },
    });
    expect(error?.message).toContain("Pages came on a multifd channel behind the end of section 'ram'");
    expect(sent).toEqual([{ kind: "pong", value: 1 }]);
  });

  test("not when a channel breaks once memory has come", async () => {
    const committing = Promise.withResolvers<void>();
    const pieces = await channelPieces(SYNCS);
    async function* breaking(): AsyncGenerator<Uint8Array, void, void> {
      yield* pieces;
      await committing.promise;
      throw new MigrationError("CHANNEL_FAILED", "Connection reset by peer");
    }
    const { error } = await load([], {
      multifd: [breaking()],
      target: {
        commit: async () => {
          committing.resolve();
          await turns(3);
        },
      },
    });
    expect(error).toBeUndefined();
  });
});
