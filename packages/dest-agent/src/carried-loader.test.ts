import { ImageMachine } from "@peregrine/machine-image";
import { ALL_EXTENSIONS, askFor, RamPageEncoder } from "@peregrine/protocol";
import { DirtyBitmap } from "@peregrine/shared-state";
import { openMachineRam } from "@peregrine/shared-state/testing";
import * as fc from "fast-check";
import { deflateSync } from "node:zlib";
import { describe, expect, test, vi } from "vitest";
import { feedImage, keptOpen } from "../test/in-process.ts";
import { memoryOf } from "../test/machines.ts";
import { BLOCKS, CPU, device, ERA_2_0, pageOf, qemuStream, RTC, TODAY } from "../test/qemu-stream.ts";
import type { Framing } from "../test/qemu-stream.ts";
import { command, ramPart } from "../test/stream-maker.ts";
import type { TestStream } from "../test/stream-maker.ts";

const ONE_WAY: Framing = { ...TODAY, returnPath: false };
const ANSWERS = [
  { kind: "pong", value: 1 },
  { kind: "shut", status: 0 },
];

/** The bytes of `pc.ram` and `vga.vram` when everything has come. */
function expectedMemory(): Uint8Array[] {
  const memory = BLOCKS.map(({ length }) => new Uint8Array(length));
  for (const [page, seed] of [0, 77, 2, 3].entries()) memory[0]!.set(pageOf(seed), page * 4096);
  return memory;
}

async function loaded(stream: TestStream, options: Partial<Parameters<typeof feedImage>[0]> = {}) {
  const fed = await feedImage({ chunks: keptOpen(stream.bytes), ...options });
  if (fed.error !== undefined) throw fed.error;
  expect(fed.committed).toBe(true);
  return { ...fed, opening: fed.image.carried.opening(), closing: fed.image.carried.closing() };
}

describe("a machine that is not known", () => {
  test("is taken in with its memory, its devices and the framing of its stream", async () => {
    const { image, opening, closing, sent, statistics } = await loaded(qemuStream());
    expect(memoryOf(await openMachineRam(image))).toEqual(expectedMemory());
    expect(opening).toEqual({
      configuration: { machineType: "pc-i440fx-10.0" },
      footers: true,
      early: [],
      uuid: undefined,
    });
    expect(closing.late).toEqual([CPU, RTC]);
    expect(closing.ending.kind).toBe("described");
    expect(sent).toEqual(ANSWERS);
    expect(statistics.progress()).toMatchObject({ pages: 5, zeroPages: 1, bytes: qemuStream().bytes.length });
  });

  test("keeps the text of the vmdescription as it came", async () => {
    const text = JSON.stringify({ page_size: 4096, devices: [], more: "ö" });
    const json = new TextEncoder().encode(text);
    const bytes = Buffer.concat([Uint8Array.of(6, 0, 0, 0, json.length), json]);
    const { closing } = await loaded(qemuStream().with("vmdescription", bytes));
    // It does not fit the devices, so their footers have told them apart.
    expect(closing).toEqual({ late: [CPU, RTC], ending: { kind: "described", text } });
  });

  test("may come in any chunks", async () => {
    const { bytes } = qemuStream(ONE_WAY);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: bytes.length }), { maxLength: 40 }), async (cuts) => {
        const sorted = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const chunks = sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
        const { image, error } = await feedImage({ chunks });
        expect(error).toBeUndefined();
        expect(memoryOf(await openMachineRam(image))).toEqual(expectedMemory());
        expect(image.carried.closing().late).toEqual([CPU, RTC]);
      }),
      { numRuns: 40 },
    );
  });

  test.each<[string, Framing]>([
    ["2.3", { ...ERA_2_0, description: true }],
    ["2.0", ERA_2_0],
  ])("of machine type %s has neither configuration nor footers", async (_, framing) => {
    const { opening, closing } = await loaded(qemuStream({ ...framing, returnPath: false }), {
      chunks: [qemuStream({ ...framing, returnPath: false }).bytes],
    });
    expect(opening).toEqual({ configuration: undefined, footers: false, early: [], uuid: undefined });
    if (framing.description) {
      expect(closing.late).toEqual([CPU, RTC]);
    } else {
      const payload = Buffer.concat([CPU.payload, qemuStream(framing).bytesOf("rtc")]);
      expect(closing).toEqual({
        late: [{ ...CPU, payload: new Uint8Array(payload) }],
        ending: { kind: "undivided" },
      });
    }
  });

  test("may have devices in front of its memory", async () => {
    const early = { name: "virtio-mem-early", instance: 0, version: 1, payload: Uint8Array.of(4, 4, 4) };
    const stream = qemuStream().before("ram-start", device({ id: 3, ...early }, early.payload));
    const { opening, closing } = await loaded(stream);
    expect(opening.early).toEqual([early]);
    expect(closing.late).toEqual([CPU, RTC]);
  });

  test("is opened as soon as the list of blocks has come, and closed at the end", async () => {
    const calls: string[] = [];
    const stream = qemuStream();
    async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
      const at = stream.offsetOf("ram-part");
      yield stream.bytes.subarray(0, at - 1);
      calls.push("all but the footer");
      yield stream.bytes.subarray(at - 1, at);
      calls.push("the footer");
      yield stream.bytes.subarray(at);
      yield* keptOpen();
    }
    const { error } = await feedImage({
      chunks: chunks(),
      target: {
        opened: async (_opening, _ram, { returnPath }) => {
          calls.push(`opened ${returnPath}`);
        },
        closed: async () => {
          calls.push("closed");
        },
        commit: async (returnPath) => {
          calls.push(`commit ${returnPath}`);
        },
      },
    });
    expect(error).toBeUndefined();
    expect(calls).toEqual(["all but the footer", "opened true", "the footer", "closed", "commit true"]);
  });

  test("keeps its UUID, page bits and capabilities but mapped-ram", async () => {
    const uuid = Uint8Array.from({ length: 16 }, (_, index) => index);
    const configuration = { uuid, targetPageBits: 12, capabilities: [] };
    const { opening } = await loaded(qemuStream({ ...TODAY, configuration }));
    expect(opening.configuration).toEqual({ machineType: "pc-i440fx-10.0", ...configuration });
    expect(opening.uuid).toEqual(uuid);
  });
});

describe("pages that come encoded", () => {
  test("are deltas of what is there, or of zeros", async () => {
    const encoder = new RamPageEncoder();
    const part = ramPart(
      "part",
      (w) => {
        encoder.delta(w, "pc.ram", 2 * 4096, Uint8Array.of(3, 2, 0xaa, 0xbb));
        encoder.delta(w, "pc.ram", 7 * 4096, Uint8Array.of(0, 1, 0xcc));
      },
      2,
    );
    const { image } = await loaded(qemuStream().before("switchover", part));
    const expected = expectedMemory();
    expected[0]!.set([0xaa, 0xbb], 2 * 4096 + 3);
    expected[0]![7 * 4096] = 0xcc;
    expect(memoryOf(await openMachineRam(image))).toEqual(expected);
  });

  const compressed = (data: Uint8Array): TestStream =>
    qemuStream().before(
      "switchover",
      ramPart(
        "part",
        (w) => {
          w.be64(6 * 4096 + 0x100);
          w.counted("pc.ram");
          w.be32(data.length);
          w.bytes(data);
        },
        2,
      ),
    );

  test("are compressed one by one by old releases", async () => {
    const { image } = await loaded(compressed(deflateSync(pageOf(9))));
    const [ram] = memoryOf(await openMachineRam(image));
    expect(ram!.subarray(6 * 4096, 7 * 4096)).toEqual(pageOf(9));
  });

  test.each([
    ["more than a page", deflateSync(new Uint8Array(4097))],
    ["less than a page", deflateSync(new Uint8Array(4095))],
    ["nothing", Uint8Array.of(1, 2, 3)],
  ])("are refused when they decompress to %s", async (_, data) => {
    const { error } = await feedImage({ chunks: [compressed(data).bytes] });
    expect(error).toMatchObject({ code: "BAD_RAM_PAGE", section: "ram" });
    expect(error?.message).toContain("A compressed page cannot be decompressed to 4096 bytes");
  });
});

describe("a source that keeps the connection open and sends no vmdescription", () => {
  const FOOTERS: Framing = { ...TODAY, description: false };

  test.each<[string, Framing, string]>([
    ["footers", FOOTERS, "end-mark"],
    ["nothing at all", ERA_2_0, "undivided"],
  ])("is answered when it is quiet, with %s to tell its devices apart", async (_, framing, kind) => {
    const { closing, sent } = await loaded(qemuStream(framing), {
      patience: { description: 5, undivided: 5 },
    });
    expect(closing.ending.kind).toBe(kind);
    expect(sent).toEqual(ANSWERS);
  });

  test.each<[string, Framing]>([
    ["footers", FOOTERS],
    ["nothing at all", ERA_2_0],
  ])("is waited for in the middle of its devices, with %s", async (_, framing) => {
    const { bytes } = qemuStream(framing);
    const patience = { description: 2, undivided: 2 };
    async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
      yield bytes.subarray(0, -2);
      // The last byte so far is no zero, and long enough passes for the patience to end several times.
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
      yield bytes.subarray(-2);
      yield* keptOpen();
    }
    const { closing } = await loaded(qemuStream(framing), { chunks: chunks(), patience });
    expect(closing.late[0]!.payload.subarray(0, 8)).toEqual(CPU.payload);
  });

  test("is given up when it stays quiet in the middle of its devices", async () => {
    const { bytes } = qemuStream(FOOTERS);
    const { error, committed, sent } = await feedImage({
      chunks: keptOpen(bytes.subarray(0, -3)),
      patience: { description: 2, stall: 10 },
    });
    expect(error).toMatchObject({ code: "TRUNCATED" });
    expect(error?.message).toMatch(
      /^The source has sent nothing for 0\.01 s in the middle of its device sec/u,
    );
    expect(committed).toBe(false);
    expect(sent).toEqual([{ kind: "pong", value: 1 }]);
  });

  test.each<[string, Framing]>([
    ["footers", FOOTERS],
    ["nothing at all", ERA_2_0],
  ])("may send nothing after that, with %s", async (_, framing) => {
    const { bytes } = qemuStream(framing);
    const asked = Promise.withResolvers<void>();
    async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
      yield bytes;
      await asked.promise;
      yield Uint8Array.of(6);
      yield* keptOpen();
    }
    const { error, sent } = await feedImage({
      chunks: chunks(),
      patience: { description: 2, undivided: 2 },
      target: {
        commit: () => {
          asked.resolve();
          return new Promise(() => {});
        },
      },
    });
    expect(error).toMatchObject({ code: "UNEXPECTED_DATA", offset: bytes.length });
    expect(sent).toEqual([{ kind: "pong", value: 1 }]);
  });

  test("and waits for no answer is waited for until it ends the stream", async () => {
    const stream = qemuStream({ ...ERA_2_0, returnPath: false });
    let ended = false;
    async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
      yield stream.bytes;
      // Long enough for the patience to end several times.
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
      ended = true;
    }
    await loaded(stream, {
      chunks: chunks(),
      patience: { description: 1, undivided: 1, stall: 1 },
      target: {
        commit: async (returnPath) => {
          expect({ ended, returnPath }).toEqual({ ended: true, returnPath: false });
        },
      },
    });
  });
});

describe("a source that has promised to say that it lives, and has sent everything", () => {
  /** Accepting the machine takes far longer than the source may be silent. @returns why the load failed. */
  async function acceptedLate(framing: Framing): Promise<string | undefined> {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "hrtime"] });
    try {
      const asks = command({ kind: "ping", value: askFor(ALL_EXTENSIONS) });
      const { error } = await feedImage({
        chunks: keptOpen(qemuStream(framing).after("ping", asks).bytes),
        patience: { description: 5, undivided: 5 },
        silence: 5000,
        target: {
          commit: async () => {
            vi.advanceTimersByTime(20_000);
            return undefined;
          },
        },
      });
      return error?.code;
    } finally {
      vi.useRealTimers();
    }
  }

  test.each<[string, Framing]>([
    ["footers", { ...TODAY, description: false }],
    ["nothing at all", ERA_2_0],
  ])("is silent where nothing may follow, with %s to tell its devices apart", async (_, framing) => {
    expect(await acceptedLate(framing)).toBeUndefined();
  });

  test("is given up where it could say so, behind a vmdescription", async () => {
    expect(await acceptedLate(TODAY)).toBe("PEER_SILENT");
  });
});

describe("memory that is sent on", () => {
  test("holds the reader back while too much of it is unsent, from the opening on", async () => {
    const limit = 2;
    const encoder = new RamPageEncoder();
    const parts = Array.from({ length: 8 }, (_, page) =>
      ramPart("part", (w) => encoder.page(w, "pc.ram", page * 4096, pageOf(page)), 2),
    );
    const stream = qemuStream();
    const image = new ImageMachine();
    let unsent = 0;
    async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
      yield stream.upTo("ram-part");
      for (const part of parts) {
        expect(unsent).toBeLessThanOrEqual(limit);
        unsent++;
        yield part;
      }
      yield* keptOpen(stream.bytes.subarray(stream.offsetOf("switchover")));
    }
    let sending: NodeJS.Timeout | undefined;
    const { error } = await feedImage({
      chunks: chunks(),
      image,
      target: {
        opened: async (opening, access) => {
          image.intake.opened(opening, access);
          image.setBacklogLimit(limit);
          const ram = await openMachineRam(image);
          // Not before the reader has come to a stop, if it ever does.
          sending = setInterval(() => {
            const dirty = ram.blocks.map(({ length }) => new DirtyBitmap(length / 4096));
            const pages = ram.harvest(dirty);
            unsent -= pages;
            ram.sent?.(pages);
          }, 2);
        },
      },
    });
    clearInterval(sending);
    expect(error).toBeUndefined();
  });
});
