import { MigrationError } from "@peregrine/protocol";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { closeAll, expectFailed, listening } from "../test/arrival.ts";
import { stoppedSource } from "../test/machines.ts";
import { TestStream } from "../test/stream-maker.ts";

let stream: TestStream;

beforeAll(async () => {
  stream = await TestStream.of((await stoppedSource()).machine);
});

afterEach(closeAll);

describe("a load that fails", () => {
  test("on a stream that is refused tells the source and names the place", async () => {
    const arrival = await listening();
    const sender = await arrival.connect();
    await sender.send(stream.without("test-guest").bytes);
    await expectFailed(arrival, "BAD_SECTION_ORDER", "The stream ended without section 'test-guest' (byte ");
    expect(sender.messages.at(-1)).toEqual({ kind: "shut", status: 1 });
    expect(await sender.ended).toBeUndefined();
    expect(arrival.guest.run.state).toBe("inmigrate");
  });

  test("tells the source though it sends on and on", async () => {
    const arrival = await listening();
    const sender = await arrival.connect();
    const bad = stream.before("ram-part", Uint8Array.of(85)).bytes;
    // It reads on for a second, and this process may stand still for as long.
    const until = performance.now() + 1000;
    const sending = sender.channel.write(Buffer.concat([bad, new Uint8Array(16 * 1024 * 1024)]));
    const sent = sending.catch((error: unknown) => {
      if (performance.now() < until) throw error;
    });
    await Promise.all([sent, sender.shut()]);
    await sender.channel.end().catch(() => {});
    await expectFailed(arrival, "BAD_SECTION", "Unknown savevm section type 85");
    expect(sender.messages.at(-1)).toEqual({ kind: "shut", status: 1 });
  });

  test("on a connection that sends something else", async () => {
    const arrival = await listening();
    const sender = await arrival.connect();
    await sender.channel.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    await expectFailed(arrival, "NOT_A_STREAM", "Not a migration stream (byte 0)");
    await sender.ended;
    expect(sender.messages).toEqual([]);
  });

  test("on a connection that ends in its first word", async () => {
    const arrival = await listening();
    const { channel } = await arrival.connect();
    await channel.write(stream.bytes.subarray(0, 2));
    await channel.end();
    await expectFailed(arrival, "TRUNCATED", "The stream ended where the magic of a migration stream");
  });

  test("on a connection that ends in the middle", async () => {
    const arrival = await listening();
    const sender = await arrival.connect();
    await sender.channel.write(stream.upTo("ram-end"));
    await sender.channel.end();
    await expectFailed(arrival, "TRUNCATED", "where a section type was expected: Input/output error");
  });

  test("on a device that refuses its state", async () => {
    const arrival = await listening({
      prepare: ({ machine }) => {
        machine.devices.find("test-guest", 0)!.load = () => {
          throw new Error("no such drive");
        };
      },
    });
    const sender = await arrival.connect();
    await sender.send(stream.bytes);
    const text = "The device 'test-guest' 0 could not load its state: no such drive";
    await expectFailed(arrival, "DEVICE_STATE", text);
    expect(sender.messages.at(-1)).toEqual({ kind: "shut", status: 1 });
  });

  test("on a machine that cannot be prepared, while the source is silent", async () => {
    const arrival = await listening({
      prepare: ({ machine }) => {
        machine.prepared = () => Promise.reject(new MigrationError("NOT_WASM", "it does not compile"));
      },
    });
    const sender = await arrival.connect();
    await sender.channel.write(stream.upTo("ram-start"));
    await sender.received(2);
    await sender.channel.end();
    await expectFailed(arrival, "NOT_WASM", "it does not compile");
    expect(sender.messages).toEqual([
      { kind: "pong", value: 1 },
      { kind: "shut", status: 1 },
    ]);
  });

  test("on a guest that dies, while the source is silent", async () => {
    const arrival = await listening();
    const sender = await arrival.connect();
    await sender.channel.write(stream.upTo("ram-start"));
    await sender.received(2);
    arrival.guest.machine.finish({ kind: "trap", message: "out of memory" });
    await sender.received(3);
    await sender.channel.end();
    await expectFailed(arrival, "LOAD_FAILED", "The guest ended while it was being received");
    expect(sender.messages.at(-1)).toEqual({ kind: "shut", status: 1 });
  });

  test("on a thread that crashes", async () => {
    const crash =
      "setImmediate(() => { throw new Error('out of order'); }); export const openRam = () => {};";
    const arrival = await listening({
      prepare: ({ machine }) => {
        machine.ram = () => ({
          module: `data:text/javascript,${encodeURIComponent(crash)}`,
          data: undefined,
        });
        machine.prepared = () => new Promise(() => {});
      },
    });
    const sender = await arrival.connect();
    await sender.channel.write(stream.upTo("ram-start"));
    await expectFailed(arrival, "INTERNAL", "out of order");
    await sender.ended;
  });

  test("on a guest that cannot be started once everything is loaded", async () => {
    const arrival = await listening({
      prepare: ({ machine }) => {
        const start = machine.start.bind(machine);
        machine.start = async () => {
          machine.start = start;
          throw new MigrationError("GUEST_TRAP", "no thread for the guest");
        };
      },
    });
    const sender = await arrival.connect();
    await sender.send(stream.bytes);
    await expectFailed(arrival, "GUEST_TRAP", "no thread for the guest");
  });
});
