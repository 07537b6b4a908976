import { ALL_EXTENSIONS, askFor, MigrationError, RamPageEncoder } from "@peregrine/protocol";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { feed, keptOpen } from "../test/in-process.ts";
import { destination, memoryOf, SMALL, stoppedSource } from "../test/machines.ts";
import type { Guest } from "../test/machines.ts";
import { command, ramPart, TestStream } from "../test/stream-maker.ts";
import { Turns } from "../test/turns.ts";
import { Interruption } from "./interruption.ts";

let source: Guest;
let stream: TestStream;
let bytes: Uint8Array;

beforeAll(async () => {
  source = await stoppedSource(SMALL);
  stream = await TestStream.of(source.machine);
  bytes = stream.bytes;
});

const ANSWERS = [
  { kind: "pong", value: 1 },
  { kind: "pong", value: 2 },
  { kind: "shut", status: 0 },
];

describe("a stream that is loaded", () => {
  test("leaves the machine as the source was, and the source told", async () => {
    const fed = await feed({ chunks: keptOpen(bytes) });
    expect(fed.error).toBeUndefined();
    expect(fed.sent).toEqual(ANSWERS);
    expect(fed.loaded).toEqual(["test-layout", "test-guest", "globalstate"]);
    const { machine, run } = fed.guest;
    expect(memoryOf(machine.guest.ram)).toEqual(memoryOf(source.machine.guest.ram));
    machine.verify();
    expect(machine.guest.sweeps).toBe(source.machine.guest.sweeps);
    expect(run.received).toBe("running");
    expect(machine.running).toBe(false);
  });

  test("is counted", async () => {
    const { statistics } = await feed({ chunks: keptOpen(bytes) });
    const progress = statistics.progress();
    expect(progress).toMatchObject({ bytes: bytes.length, pages: 4, zeroPages: 1, startTime: 0 });
    expect(progress.totalTime).toBeGreaterThan(0);
    expect(progress.lateDevicesTime).toBeGreaterThan(0);
    statistics.started();
    expect(statistics.progress().startTime).toBeGreaterThan(0);
  });

  test("may come in any chunks", async () => {
    const whole = await feed({ chunks: keptOpen(bytes) });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: bytes.length }), { maxLength: 40 }), async (cuts) => {
        const sorted = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const chunks = sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
        const fed = await feed({ chunks: keptOpen(...chunks) });
        expect(fed.error).toBeUndefined();
        expect(fed.sent).toEqual(whole.sent);
        expect(fed.loaded).toEqual(whole.loaded);
        expect(memoryOf(fed.guest.machine.guest.ram)).toEqual(memoryOf(whole.guest.machine.guest.ram));
        expect(fed.guest.machine.guest.position).toBe(source.machine.guest.position);
      }),
      { numRuns: 60 },
    );
  });

  test("may come byte by byte", async () => {
    const fed = await feed({ chunks: keptOpen(...Array.from(bytes, (byte) => Uint8Array.of(byte))) });
    expect(fed.error).toBeUndefined();
    expect(fed.sent).toEqual(ANSWERS);
    fed.guest.machine.verify();
  });

  test("leaves others their turns when its source never pauses", async () => {
    const more = ramPart("part", () => {});
    const turns = new Turns();
    const pass = async (take: (chunk: Uint8Array) => boolean): Promise<void> => {
      while (turns.goesOn && take(more));
    };
    const before = stream.upTo("ram-end");
    const chunks = async function* (): AsyncGenerator<Uint8Array, void, void> {
      yield before;
      while (turns.goesOn) yield more;
      yield* keptOpen(bytes.subarray(before.length));
    };
    const fed = await feed({ chunks: chunks(), passing: { pass } });
    expect(fed.error).toBeUndefined();
    expect(fed.sent).toEqual(ANSWERS);
    turns.expectEnough();
  });

  test("may have its chunks asked for one by one", async () => {
    const pieces = Array.from({ length: Math.ceil(bytes.length / 1000) }, (_, index) =>
      bytes.subarray(index * 1000, (index + 1) * 1000),
    );
    const fed = await feed({ chunks: keptOpen(...pieces), askedFor: true });
    expect(fed.error).toBeUndefined();
    expect(fed.sent).toEqual(ANSWERS);
    fed.guest.machine.verify();
  });

  test("may have no vmdescription", async () => {
    const fed = await feed({ chunks: keptOpen(stream.without("vmdescription").bytes) });
    expect(fed.error).toBeUndefined();
    expect(fed.sent).toEqual(ANSWERS);
  });

  test("is answered by nothing when the source opens no return path", async () => {
    const oneWay = stream.without("open-return-path").without("ping-1").without("ping-2");
    const fed = await feed({ chunks: [oneWay.bytes] });
    expect(fed.error).toBeUndefined();
    expect(fed.committed).toBe(true);
    expect(fed.sent).toEqual([]);
  });

  test("may leave the run state out", async () => {
    const fed = await feed({ chunks: keptOpen(stream.without("globalstate").bytes) });
    expect(fed.error).toBeUndefined();
    expect(fed.guest.run.received).toBeUndefined();
  });
});

describe("a stream that is cut", () => {
  test("is refused at every byte, with nothing loaded for good", async () => {
    const one = await stoppedSource({ blocks: [{ name: "test.ram", pages: 2, used: 1 }], hotPages: 1 });
    const zero = ramPart("part", (w) => {
      new RamPageEncoder().zeroPage(w, "test.ram", 4096);
    });
    const tiny = (await TestStream.of(one.machine)).before("ram-end", zero);
    const mayEndAt = tiny.offsetOf("vmdescription");
    const all = tiny.bytes;
    expect((await feed({ chunks: keptOpen(all) })).error).toBeUndefined();
    for (let length = 0; length < all.length; length++) {
      const fed = await feed({ chunks: [all.subarray(0, length)] });
      // Without a vmdescription the stream is complete, but nobody is left to be told so.
      const code = length === mayEndAt ? "CHANNEL_FAILED" : "TRUNCATED";
      expect(fed.error, `cut at ${length}`).toMatchObject({ code });
      if (code === "TRUNCATED") expect(fed.error?.offset).toBe(length);
      expect(fed.committed).toBe(false);
      expect(fed.guest.machine.running).toBe(false);
      expect(fed.guest.run.state).toBe("inmigrate");
      expect(fed.sent.every((message) => message.kind === "pong")).toBe(true);
    }
  });

  test("is refused with what was expected and where", async () => {
    const fed = await feed({ chunks: [stream.upTo("ram-end").subarray(0, -100)] });
    const at = stream.offsetOf("ram-end") - 100;
    expect(fed.error?.message).toBe(
      "The stream ended where a page of 4096 bytes was expected: Input/output error " +
        `(section 'ram', byte ${at}, last good section 'ram')`,
    );
  });
});

describe("preparing the machine", () => {
  test("keeps the second answer back and nothing else", async () => {
    const prepared = Promise.withResolvers<void>();
    const late = stream.offsetOf("test-guest");
    const guest = destination();
    async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
      yield bytes.subarray(0, late);
      // Asked for the next chunk, so all of the pages are loaded.
      expect(memoryOf(guest.machine.guest.ram)).toEqual(memoryOf(source.machine.guest.ram));
      prepared.resolve();
      yield* keptOpen(bytes.subarray(late));
    }
    const order: string[] = [];
    const fed = await feed({
      chunks: chunks(),
      guest,
      target: {
        prepared: async () => {
          await prepared.promise;
          order.push("prepared");
        },
      },
      write: async (message) => {
        order.push(`type ${message[1]} value ${message[7]}`);
      },
    });
    expect(fed.error).toBeUndefined();
    expect(order).toEqual(["type 2 value 1", "prepared", "type 2 value 2", "type 1 value 0"]);
  });

  test("fails the load at once, though the source has nothing to send", async () => {
    const fed = await feed({
      chunks: keptOpen(stream.upTo("ram-end")),
      target: { prepared: () => Promise.reject(new MigrationError("NOT_WASM", "it does not compile")) },
    });
    expect(fed.error).toMatchObject({ code: "NOT_WASM", message: "it does not compile" });
    expect(fed.sent).toEqual([{ kind: "pong", value: 1 }]);
    expect(fed.committed).toBe(false);
  });

  test("answers pings in order", async () => {
    const pings = [7, 8, 9].map((value) => command({ kind: "ping", value }));
    const fed = await feed({ chunks: keptOpen(stream.after("ping-2", Buffer.concat(pings)).bytes) });
    expect(fed.sent.map((message) => (message.kind === "pong" ? message.value : "shut"))).toEqual([
      1,
      2,
      7,
      8,
      9,
      "shut",
    ]);
  });
});

describe("between the end of the stream and the answer", () => {
  /** Sends everything, then `last` when the loader waits for the machine, which is prepared when `last` is read. */
  async function afterTheEnd(
    last: AsyncGenerator<Uint8Array, void, void>,
    complete = stream,
  ): ReturnType<typeof feed> {
    const commit = Promise.withResolvers<undefined>();
    async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
      yield complete.bytes;
      yield* last;
      setImmediate(commit.resolve, undefined);
    }
    return feed({ chunks: chunks(), target: { commit: () => commit.promise } });
  }

  async function* pieces(...bytesOfPieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, void> {
    yield* bytesOfPieces;
  }

  test("the source takes its guest back by ending the stream", async () => {
    const fed = await afterTheEnd(pieces());
    expect(fed.error).toMatchObject({ code: "CHANNEL_FAILED" });
    expect(fed.error?.message).toContain("so the guest stays there");
    expect(fed.sent).not.toContainEqual({ kind: "shut", status: 0 });
  });

  test("nothing may come", async () => {
    const fed = await afterTheEnd(pieces(Uint8Array.of(0)));
    expect(fed.error).toMatchObject({ code: "UNEXPECTED_DATA", offset: bytes.length });
    expect(fed.sent).not.toContainEqual({ kind: "shut", status: 0 });
  });

  test("a source that waits for no answer may end the stream", async () => {
    const oneWay = stream.without("open-return-path").without("ping-1").without("ping-2");
    const fed = await afterTheEnd(pieces(), oneWay);
    expect(fed.error).toBeUndefined();
  });

  test("the vmdescription may be late", async () => {
    const committed = Promise.withResolvers<void>();
    const consumed = Promise.withResolvers<void>();
    async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
      yield stream.upTo("vmdescription");
      await committed.promise;
      const description = stream.bytesOf("vmdescription");
      yield description.subarray(0, 9);
      yield description.subarray(9);
      consumed.resolve();
      yield* keptOpen();
    }
    const fed = await feed({
      chunks: chunks(),
      target: {
        commit: async () => {
          committed.resolve();
          await consumed.promise;
          return undefined;
        },
      },
    });
    expect(fed.error).toBeUndefined();
    expect(fed.statistics.progress().bytes).toBe(bytes.length);
  });
});

describe("a source that decides, and cannot be answered", () => {
  const migration = "00112233445566778899aabbccddeeff";
  const broken = new MigrationError("CHANNEL_FAILED", "broken");

  /** Says `last` when the answer to a loaded guest has failed, and breaks. */
  async function unanswered(last: Uint8Array): ReturnType<typeof feed> {
    const failed = Promise.withResolvers<void>();
    let isBroken = false;
    async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
      const at = stream.offsetOf("ram-start");
      yield bytes.subarray(0, at);
      yield command({ kind: "ping", value: askFor(ALL_EXTENSIONS) });
      yield command({ kind: "hand-over", step: "offer", migration });
      yield bytes.subarray(at);
      await failed.promise;
      yield last;
      throw broken;
    }
    return feed({
      chunks: chunks(),
      target: {
        accept: async () => {
          isBroken = true;
        },
      },
      write: async () => {
        if (!isBroken) return;
        setImmediate(failed.resolve);
        throw broken;
      },
      failure: () => (isBroken ? broken : undefined),
    });
  }

  test("is heard when it keeps its guest", async () => {
    const fed = await unanswered(command({ kind: "hand-over", step: "keep", migration }));
    expect(fed.error?.message).toBe("The source has decided to keep the guest");
    expect([fed.committed, fed.undecided]).toEqual([false, undefined]);
  });

  test("is heard when it gives it", async () => {
    const fed = await unanswered(command({ kind: "hand-over", step: "give", migration }));
    expect([fed.error, fed.committed, fed.undecided]).toEqual([undefined, true, undefined]);
  });

  test("leaves it undecided when it has said nothing", async () => {
    const fed = await unanswered(command({ kind: "alive" }));
    expect([fed.error, fed.committed, fed.undecided]).toEqual([undefined, false, broken]);
  });
});

describe("the loader", () => {
  test("reads nothing while an early device is loaded, and loads the late ones together at the end", async () => {
    let loading = 0;
    let asked = 0;
    const calls: number[] = [];
    const guest = destination();
    async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
      for (const byte of bytes) {
        expect(loading).toBe(0);
        asked++;
        yield Uint8Array.of(byte);
      }
      yield* keptOpen();
    }
    const fed = await feed({
      chunks: chunks(),
      guest,
      target: {
        loadDevices: async (devices) => {
          loading++;
          calls.push(devices.length);
          const before = asked;
          await new Promise((resolve) => {
            setImmediate(resolve);
          });
          expect(asked).toBe(before);
          for (const { name, instance, value } of devices)
            await guest.machine.devices.load(name, instance, value);
          loading--;
        },
      },
    });
    expect(fed.error).toBeUndefined();
    expect(asked).toBe(bytes.length);
    expect(calls).toEqual([1, 2]);
  });

  test("fails with what a device fails with", async () => {
    const refusal = new MigrationError("DEVICE_STATE", "no room");
    const fed = await feed({
      chunks: keptOpen(bytes),
      target: { loadDevices: () => Promise.reject(refusal) },
    });
    expect(fed.error).toBe(refusal);
    expect(fed.committed).toBe(false);
  });

  test("does not say that it is done when the load was called off before", async () => {
    const refusal = new MigrationError("CANCELLED", "called off");
    const fed = await feed({ chunks: keptOpen(bytes), target: { commit: () => Promise.reject(refusal) } });
    expect(fed.error).toBe(refusal);
    expect(fed.sent.at(-1)).toEqual({ kind: "pong", value: 2 });
  });

  test("fails when an answer cannot be sent", async () => {
    const broken = new MigrationError("CHANNEL_FAILED", "broken");
    const fed = await feed({
      chunks: keptOpen(stream.upTo("ram-end")),
      write: () => Promise.reject(broken),
    });
    expect(fed.error).toBe(broken);
  });

  test.each(["ping-1", "test-layout", "ram-part", "vmdescription"])(
    "is interrupted while it waits for '%s'",
    async (name) => {
      const interruption = new Interruption();
      const reason = new MigrationError("CANCELLED", "enough");
      async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
        yield Buffer.concat([stream.upTo(name), stream.bytesOf(name).subarray(0, 1)]);
        setImmediate(() => {
          interruption.interrupt(reason);
        });
        await new Promise(() => {});
      }
      const fed = await feed({ chunks: chunks(), interruption });
      expect(fed.error).toBe(reason);
      expect(fed.committed).toBe(false);
    },
  );
});
