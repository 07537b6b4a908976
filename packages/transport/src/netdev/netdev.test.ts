import { once } from "node:events";
import dgram from "node:dgram";
import { closeSync, mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { boundDatagramSocket } from "../../test/descriptors.ts";
import { loadSystemCalls } from "../descriptors/system-calls.ts";
import { openNetdev, parseNetdev } from "./netdev.ts";
import type { Netdev } from "./netdev.ts";

const FRAME = Uint8Array.from({ length: 60 }, (_, index) => index);
/** With its length in front. */
const ON_STREAM = Buffer.concat([Uint8Array.of(0, 0, 0, 60), FRAME]);

const folder = mkdtempSync(join(tmpdir(), "netdev-"));
const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0)) end();
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function opened(text: string): Netdev {
  const netdev = openNetdev(parseNetdev(text));
  ends.push(() => netdev.close());
  return netdev;
}

/** The other end of a stream. */
class Switch {
  readonly #server = net.createServer({ allowHalfOpen: true });
  readonly netdev: string;

  private constructor(netdev: string) {
    this.netdev = netdev;
    ends.push(() => this.#server.close());
  }

  static async on(kind: "tcp" | "unix", path = join(folder, "switch")): Promise<Switch> {
    if (kind === "unix") {
      const made = new Switch(`stream:unix:${path}`);
      await once(made.#server.listen(path), "listening");
      return made;
    }
    const probe = net.createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    const { port } = probe.address() as net.AddressInfo;
    probe.close();
    const made = new Switch(`stream:tcp:127.0.0.1:${port}`);
    await once(made.#server.listen(port, "127.0.0.1"), "listening");
    return made;
  }

  async connection(): Promise<net.Socket> {
    const [socket] = (await once(this.#server, "connection")) as [net.Socket];
    ends.push(() => socket.destroy());
    return socket;
  }
}

async function received(socket: net.Socket, bytes: number): Promise<Buffer> {
  let all = Buffer.alloc(0);
  while (all.length < bytes) all = Buffer.concat([all, (await once(socket, "data"))[0] as Buffer]);
  return all;
}

describe("a stream", () => {
  test.each(["tcp", "unix"] as const)("over %s carries frames with their lengths", async (kind) => {
    const lan = await Switch.on(kind);
    const netdev = opened(lan.netdev);
    const connection = lan.connection();
    await netdev.send(FRAME);
    await netdev.send(FRAME.subarray(0, 1));
    const expected = Buffer.concat([ON_STREAM, Uint8Array.of(0, 0, 0, 1, 0)]);
    expect(await received(await connection, expected.length)).toEqual(expected);
  });

  test("takes what comes in and drops it", async () => {
    const lan = await Switch.on("unix");
    const netdev = opened(lan.netdev);
    const connection = lan.connection();
    await netdev.send(FRAME);
    const socket = await connection;
    // Far more than the kernel would keep for a reader that does not read.
    await new Promise((resolve) => socket.write(Buffer.alloc(32 << 20), resolve));
    await netdev.send(FRAME);
    expect(await received(socket, 2 * ON_STREAM.length)).toEqual(Buffer.concat([ON_STREAM, ON_STREAM]));
  });

  test("that nobody takes is refused, and tried anew with the next frame", async () => {
    const path = join(folder, "later");
    const netdev = opened(`stream:unix:${path}`);
    await expect(netdev.send(FRAME)).rejects.toMatchObject({
      code: "CONNECT_FAILED",
      message: `Failed to connect to '${path}': No such file or directory`,
    });
    const lan = await Switch.on("unix", path);
    const connection = lan.connection();
    await netdev.send(FRAME);
    expect(await received(await connection, ON_STREAM.length)).toEqual(ON_STREAM);
  });

  test.each([
    ["ended", (socket: net.Socket) => socket.end()],
    ["reset", (socket: net.Socket) => socket.resetAndDestroy()],
  ] as const)("that the peer has %s is made anew", async (_, leave) => {
    const lan = await Switch.on("tcp");
    const netdev = opened(lan.netdev);
    const first = lan.connection();
    await netdev.send(FRAME);
    const socket = await first;
    socket.resume();
    leave(socket);
    const second = lan.connection();
    // A frame that is on its way when the connection breaks is lost.
    for (;;) {
      await netdev.send(FRAME).catch(() => undefined);
      const again = await Promise.race([second, new Promise<void>((resolve) => setTimeout(resolve, 5))]);
      if (again !== undefined) break;
    }
    expect((await received(await second, ON_STREAM.length)).subarray(0, 64)).toEqual(ON_STREAM);
  });

  test("is given up when it is closed, also while it connects", async () => {
    const lan = await Switch.on("unix");
    const netdev = opened(lan.netdev);
    const connection = lan.connection();
    await netdev.send(FRAME);
    const socket = await connection;
    socket.resume();
    netdev.close();
    await once(socket, "end");

    const sending = netdev.send(FRAME);
    netdev.close();
    await expect(sending).rejects.toMatchObject({ code: "CANCELLED" });
  });
});

describe("datagrams", () => {
  test.each([
    ["udp4", "127.0.0.1", "127.0.0.1"],
    ["udp6", "::1", "[::1]"],
  ] as const)("over %s carry a frame each", async (type, host, text) => {
    const lan = dgram.createSocket(type);
    ends.push(() => lan.close());
    await once(lan.bind(0, host), "listening");
    const netdev = opened(`dgram:${text}:${lan.address().port}`);
    for (const frame of [FRAME, FRAME.subarray(0, 14)]) {
      const message = once(lan, "message");
      await netdev.send(frame);
      const [bytes] = (await message) as [Buffer];
      expect(new Uint8Array(bytes)).toEqual(frame);
    }
  });

  test("over unix sockets that nobody listens on are refused", async () => {
    const path = join(folder, "nobody");
    await expect(opened(`dgram:unix:${path}`).send(FRAME)).rejects.toMatchObject({
      code: "CHANNEL_FAILED",
      message: `Sending to '${path}' failed: No such file or directory`,
    });
  });

  test("over unix sockets carry a frame each", async () => {
    const path = join(folder, "datagrams");
    const lan = boundDatagramSocket(path);
    ends.push(() => closeSync(lan));
    const calls = await loadSystemCalls();
    const netdev = opened(`dgram:unix:${path}`);
    for (const frame of [FRAME, FRAME.subarray(0, 14)]) {
      await netdev.send(frame);
      expect(new Uint8Array(calls!.receive(lan)!.bytes)).toEqual(frame);
    }
    // As when the guest has left and comes again.
    netdev.close();
    await netdev.send(FRAME);
    expect(calls!.receive(lan)!.bytes).toHaveLength(60);
  });

  test("to a host that there is not are refused", async () => {
    await expect(opened("dgram:999.999.999.999:1").send(FRAME)).rejects.toMatchObject({
      code: "CHANNEL_FAILED",
      message: expect.stringMatching(/^Sending to '999\.999\.999\.999:1' failed: /u),
    });
  });
});

describe("the address of a netdev", () => {
  test.each(["", "stream", "stream:", "tcp:127.0.0.1:1", "stream:127.0.0.1:1", "dgram", "socket:1"])(
    "'%s' is refused",
    (text) => {
      expect(() => parseNetdev(text)).toThrow(`'${text}' is no netdev: it has to be stream:tcp:HOST:PORT`);
    },
  );

  test.each([
    ["stream:tcp:nowhere", "error parsing address 'nowhere'"],
    ["stream:unix:", "invalid Unix socket address"],
    ["dgram:unix:", "invalid Unix socket address"],
    ["dgram:127.0.0.1:65536", "error parsing address '127.0.0.1:65536'"],
  ])("%s is refused for its address", (text, message) => {
    expect(() => parseNetdev(text)).toThrow(message);
  });
});
