import { describe, expect, test } from "vitest";
import { feed, feedImage, keptOpen } from "../test/in-process.ts";
import { stoppedSource } from "../test/machines.ts";
import { qemuStream, TODAY } from "../test/qemu-stream.ts";
import { configuration, TestStream } from "../test/stream-maker.ts";

const WAITING = { capabilities: ["switchover-ack"] };

const { machine } = await stoppedSource();
const plain = await TestStream.of(machine);
const waiting = plain.with("configuration", configuration(machine.type, WAITING));

function kinds(sent: readonly { readonly kind: string }[]): string[] {
  return sent.map(({ kind }) => kind);
}

describe("a source that waits for leave to switch over", () => {
  test("gets it once, before everything has come", async () => {
    const cut = await feed({ chunks: [waiting.upTo("ram-end")] });
    expect(kinds(cut.sent)).toEqual(["pong", "pong", "switchover-ack"]);
    const whole = await feed({ chunks: keptOpen(waiting.bytes) });
    expect(whole.error).toBeUndefined();
    expect(kinds(whole.sent)).toEqual(["pong", "pong", "switchover-ack", "shut"]);
  });

  test("does not get it before the guest is prepared", async () => {
    const prepared = Promise.withResolvers<void>();
    const sent: number[] = [];
    let fullyRead = false;
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield waiting.upTo("ram-end");
      // The loader asks for more: all of that is loaded.
      fullyRead = true;
      prepared.resolve();
      yield waiting.bytes.subarray(waiting.offsetOf("ram-end"));
      await new Promise(() => {});
    }
    const fed = await feed({
      chunks: chunks(),
      target: { prepared: () => prepared.promise },
      write: async (bytes) => {
        // PONG 1 waits for nothing.
        if (sent.push(bytes.length) > 1) expect(fullyRead).toBe(true);
      },
    });
    expect(fed.error).toBeUndefined();
    expect(kinds(fed.sent)).toEqual(["pong", "pong", "switchover-ack", "shut"]);
  });

  test("with a virtual machine gets it when the list of its blocks was read", async () => {
    const stream = qemuStream({ ...TODAY, configuration: WAITING });
    expect(kinds((await feedImage({ chunks: [stream.upTo("ram-start")] })).sent)).not.toContain(
      "switchover-ack",
    );
    const loading = await feedImage({ chunks: keptOpen(stream.bytes) });
    expect(loading.error).toBeUndefined();
    expect(kinds(loading.sent)).toEqual(["pong", "switchover-ack", "shut"]);
    expect(loading.image.carried.opening().configuration).toMatchObject({ machineType: expect.any(String) });
  });

  test("and does not say so gets it if that is known here", async () => {
    const loading = await feedImage({ chunks: keptOpen(qemuStream().bytes), switchoverAck: true });
    expect(kinds(loading.sent)).toEqual(["pong", "switchover-ack", "shut"]);
  });
});

describe("nobody is given leave to switch over", () => {
  test("who does not wait for it", async () => {
    expect(kinds((await feed({ chunks: keptOpen(plain.bytes) })).sent)).not.toContain("switchover-ack");
    expect(kinds((await feedImage({ chunks: keptOpen(qemuStream().bytes) })).sent)).not.toContain(
      "switchover-ack",
    );
  });

  test("who opens no return path", async () => {
    const oneWay = waiting.without("open-return-path").without("ping-1").without("ping-2");
    const fed = await feed({ chunks: [oneWay.bytes] });
    expect(fed.error).toBeUndefined();
    expect(fed.sent).toEqual([]);
  });
});
