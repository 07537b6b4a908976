import { MigrationError } from "@peregrine/protocol";
import { connect, formatUri, listen } from "@peregrine/transport";
import type { Channel } from "@peregrine/transport";
import { once } from "node:events";
import net from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Connections } from "./connections.ts";
import type { Connection, ConnectionsOptions } from "./connections.ts";
import { Interruption } from "./interruption.ts";

const MAIN = Uint8Array.of(0x51, 0x45, 0x56, 0x4d, 0, 0, 0, 3);
const MULTIFD = Uint8Array.of(0x11, 0x22, 0x33, 0x44, 0, 0, 0, 1);
const LONG = 60_000;

let interruption: Interruption;
let connections: Connections;
let options: ConnectionsOptions & { identifyWait: number };
let uri: string;
let multifd: Connection[];
let refused: MigrationError[];
let fromSource: boolean[];
let channels: Channel[];

beforeEach(() => {
  interruption = new Interruption();
  multifd = [];
  refused = [];
  fromSource = [];
  channels = [];
});

afterEach(async () => {
  for (const channel of channels) channel.destroy();
  for (const { channel } of multifd) channel.destroy();
  await connections.close();
});

async function open(waits: Partial<ConnectionsOptions> = {}): Promise<void> {
  const listener = await listen("tcp:127.0.0.1:0");
  uri = formatUri(listener.address);
  options = {
    listener,
    interruption,
    refused: (error) => refused.push(error),
    multifd: (connection, isFromSource) => {
      multifd.push(connection);
      fromSource.push(isFromSource);
    },
    strangersWait: LONG,
    identifyWait: LONG,
    ...waits,
  };
  connections = new Connections(options);
}

async function opened(bytes?: Uint8Array): Promise<Channel> {
  const channel = await connect(uri);
  channels.push(channel);
  if (bytes !== undefined) await channel.write(bytes);
  return channel;
}

async function read({ chunks }: Connection, length: number): Promise<Uint8Array> {
  let bytes = new Uint8Array(0);
  while (bytes.length < length) {
    const { done, value } = await chunks.next();
    if (done === true) break;
    bytes = Buffer.concat([bytes, value]);
  }
  return Uint8Array.from(bytes);
}

function portOf(text: string): number {
  return Number(text.split(":").at(-1));
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Resolves when the other end has closed it. */
async function closed(channel: Channel): Promise<void> {
  await channel
    .read()
    .next()
    .catch(() => {});
}

describe("connections", () => {
  test("that want TLS are told of and closed, and the stream still comes", async () => {
    await open();
    await closed(await opened(Uint8Array.of(22, 3, 1, 2, 0, 1)));
    expect(refused).toMatchObject([
      {
        code: "TLS_FAILED",
        message: expect.stringMatching(/^The source '.+' wants TLS, and there is none here/u),
      },
    ]);
    await opened(MAIN);
    (await connections.main).channel.destroy();
  });

  test("are told apart by their first bytes, and lose none of them", async () => {
    await open();
    await opened(MULTIFD);
    const slow = await opened(MAIN.subarray(0, 1));
    await opened(MULTIFD);
    for (const byte of MAIN.subarray(1)) await slow.write(Uint8Array.of(byte));
    const main = await connections.main;
    expect(await read(main, MAIN.length)).toEqual(MAIN);
    main.channel.destroy();
    await connections.identified();
    expect(multifd).toHaveLength(2);
    for (const channel of multifd) expect(await read(channel, MULTIFD.length)).toEqual(MULTIFD);
  });

  test("of anything else count as the stream, which refuses them", async () => {
    await open();
    await opened(new TextEncoder().encode("GET /"));
    const main = await connections.main;
    expect(new TextDecoder().decode(await read(main, 5))).toBe("GET /");
    main.channel.destroy();
  });

  test("that end in their first word do so as well", async () => {
    await open();
    await (await opened(MAIN.subarray(0, 2))).end();
    const main = await connections.main;
    expect(await read(main, MAIN.length)).toEqual(MAIN.subarray(0, 2));
    main.channel.destroy();
  });

  test("behind the one with the stream are closed", async () => {
    await open();
    await opened(MAIN);
    const main = await connections.main;
    await closed(await opened(MAIN));
    expect(main.channel.error).toBeUndefined();
    main.channel.destroy();
  });

  test("that have nothing to say do not keep the stream from coming, and a stream is none the worse for them", async () => {
    await open();
    const silent = await opened();
    // Half of it, and that is all; a probe that goes at once; something else.
    const halved = await opened(MAIN.subarray(0, 3));
    await (await opened()).end();
    const other = await opened(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
    await closed(other);
    const source = await opened(MAIN);
    const main = await connections.main;
    expect(await read(main, MAIN.length)).toEqual(MAIN);
    // Whoever comes while it is loaded is turned away, whatever he says.
    await closed(await opened(MAIN));
    await closed(await opened(new TextEncoder().encode("junk")));
    await halved.write(MAIN.subarray(3));
    await closed(halved);
    await source.write(Uint8Array.of(7));
    expect(await read(main, 1)).toEqual(Uint8Array.of(7));
    expect(main.channel.error).toBeUndefined();
    main.channel.destroy();
    await connections.close();
    await closed(silent);
  });

  test("that go without a word are no stream", async () => {
    await open();
    await (await opened()).end();
    (await opened()).destroy();
    const source = await opened(MAIN);
    const main = await connections.main;
    expect(await read(main, MAIN.length)).toEqual(MAIN);
    source.destroy();
    main.channel.destroy();
  });

  test("that do not say in time what they are are closed", async () => {
    await open({ identifyWait: 50 });
    const silent = await opened();
    const halved = await opened(MAIN.subarray(0, 2));
    await Promise.all([closed(silent), closed(halved)]);
    // This process may stand still for longer than that between a connection and its first bytes.
    options.identifyWait = LONG;
    await opened(MAIN);
    const main = await connections.main;
    expect(await read(main, MAIN.length)).toEqual(MAIN);
    main.channel.destroy();
  });

  test("that are many and silent make room for a source, the oldest first", async () => {
    await open();
    const first = await opened();
    const dropped = closed(first);
    for (let more = 0; more < 255; more++) await opened();
    await opened();
    await dropped;
    await opened(MAIN);
    const main = await connections.main;
    expect(await read(main, MAIN.length)).toEqual(MAIN);
    main.channel.destroy();
  });

  test("of channels wait for their stream", async () => {
    await open();
    await opened(MULTIFD);
    await opened(MULTIFD);
    // What it says has been read when the next one was told.
    await closed(await opened(new TextEncoder().encode("junk")));
    expect(multifd).toEqual([]);
    await opened(MAIN);
    (await connections.main).channel.destroy();
    expect(multifd).toHaveLength(2);
    expect(fromSource).toEqual([true, true]);
  });

  test("of channels from elsewhere are told apart from the source's", async () => {
    await open();
    const elsewhere = net.connect({ host: "127.0.0.1", port: portOf(uri), localAddress: "127.0.0.2" });
    await once(elsewhere, "connect");
    elsewhere.on("error", () => {});
    elsewhere.write(MULTIFD);
    await opened(MULTIFD);
    await opened(MAIN);
    (await connections.main).channel.destroy();
    await connections.identified();
    expect(multifd).toHaveLength(2);
    expect(fromSource).toEqual([true, false]);
    elsewhere.destroy();
  });

  test("that cannot be taken are no concern of a stream that is here", async () => {
    const listener = await listen("tcp:127.0.0.1:0");
    uri = formatUri(listener.address);
    let failures = 0;
    connections = new Connections({
      listener: {
        address: listener.address,
        accept: async () => {
          const channel = await listener.accept();
          if (failures++ === 0) return channel;
          channel.destroy();
          throw new MigrationError("LISTEN_FAILED", "no more descriptors");
        },
        close: () => listener.close(),
      },
      interruption,
      multifd: () => {},
    });
    const source = await opened(MAIN);
    const main = await connections.main;
    await closed(await opened());
    await closed(await opened());
    expect(failures).toBe(3);
    await source.write(MAIN);
    expect(await interruption.wait(read(main, 2 * MAIN.length))).toHaveLength(2 * MAIN.length);
    main.channel.destroy();
  });

  test("are waited for until they say what they are", async () => {
    await open();
    await opened(MAIN);
    (await connections.main).channel.destroy();
    const stranger = await opened();
    const identified = connections.identified();
    await stranger.write(MULTIFD);
    await identified;
    expect(multifd).toHaveLength(1);
  });

  test("that say nothing are not waited for any longer", async () => {
    await open({ strangersWait: 1 });
    const stranger = await opened();
    await connections.identified();
    await connections.close();
    await closed(stranger);
  });

  test("that have had their moment do not keep a stream waiting that is complete", async () => {
    await open({ strangersWait: 200 });
    const stranger = await opened();
    await opened(MAIN);
    (await connections.main).channel.destroy();
    // The stranger was taken before the stream.
    const over = performance.now() + 200;
    while (performance.now() < over) await turns(1);
    // What waits for a time takes more turns than these, which may take any time themselves.
    const identified = connections.identified().then(() => "at once");
    expect(await Promise.race([identified, turns(20).then(() => "later")])).toBe("at once");
    stranger.destroy();
  });

  test("that cannot be taken end the load", async () => {
    await open();
    const broken = new MigrationError("LISTEN_FAILED", "no more descriptors");
    const waiting = interruption.wait(new Promise(() => {}));
    const failing = new Connections({
      listener: {
        address: { kind: "unix", path: "" },
        accept: () => Promise.reject(broken),
        close: () => Promise.resolve(),
      },
      interruption,
      multifd: () => {},
    });
    await expect(waiting).rejects.toBe(broken);
    await failing.close();
  });
});
