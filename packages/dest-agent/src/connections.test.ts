import { MigrationError } from "@peregrine/protocol";
import { connect, formatUri, listen } from "@peregrine/transport";
import type { Channel } from "@peregrine/transport";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Connections } from "./connections.ts";
import type { Connection } from "./connections.ts";
import { Interruption } from "./interruption.ts";

const MAIN = Uint8Array.of(0x51, 0x45, 0x56, 0x4d, 0, 0, 0, 3);
const MULTIFD = Uint8Array.of(0x11, 0x22, 0x33, 0x44, 0, 0, 0, 1);
const LONG = 60_000;

let interruption: Interruption;
let connections: Connections;
let uri: string;
let multifd: Connection[];
let channels: Channel[];
let refused: MigrationError[];

beforeEach(() => {
  interruption = new Interruption();
  multifd = [];
  channels = [];
  refused = [];
});

afterEach(async () => {
  for (const channel of channels) channel.destroy();
  for (const { channel } of multifd) channel.destroy();
  await connections.close();
});

async function open(strangersWait = LONG): Promise<void> {
  const listener = await listen("tcp:127.0.0.1:0");
  uri = formatUri(listener.address);
  connections = new Connections({
    listener,
    interruption,
    multifd: (connection) => multifd.push(connection),
    refused: (error) => refused.push(error),
    strangersWait,
  });
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

/** Resolves when the other end has closed it. */
async function closed(channel: Channel): Promise<void> {
  await channel
    .read()
    .next()
    .catch(() => {});
}

describe("connections", () => {
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

  test("that end at once do so as well", async () => {
    await open();
    await (await opened(MAIN.subarray(0, 2))).end();
    const main = await connections.main;
    expect(await read(main, MAIN.length)).toEqual(MAIN.subarray(0, 2));
    main.channel.destroy();
  });

  test("that end without a byte were only looking, and the stream still comes", async () => {
    await open();
    const ended = await opened();
    await ended.end();
    await closed(ended);
    const broken = await opened();
    broken.destroy();
    await opened(MAIN);
    const main = await connections.main;
    expect(await read(main, MAIN.length)).toEqual(MAIN);
    main.channel.destroy();
  });

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

  test("behind the one with the stream are closed", async () => {
    await open();
    await opened(MAIN);
    const main = await connections.main;
    await closed(await opened(MAIN));
    expect(main.channel.error).toBeUndefined();
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
    await open(1);
    const stranger = await opened();
    await connections.identified();
    await connections.close();
    await closed(stranger);
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
