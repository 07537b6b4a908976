import { listen } from "@peregrine/transport";
import type { Channel, Listener } from "@peregrine/transport";
import { MonitorServer } from "@peregrine/monitor";
import { MigrationError } from "@peregrine/protocol";
import * as fc from "fast-check";
import net from "node:net";
import { FakeAgent } from "../../packages/monitor/test/fake-agent.ts";
import { monitorOf } from "../../packages/monitor/test/monitor-of.ts";
import { encodeMessage } from "../../packages/monitor/src/web/message-pack.ts";
import { mutate, mutations } from "../../packages/protocol/fuzz/mutation.ts";
import { require } from "../../packages/protocol/fuzz/oracle.ts";
import { chunked } from "../../packages/protocol/test/support.ts";
import { SUBPROTOCOL } from "../../packages/transport/src/web-socket-limits.ts";

/** Milliseconds of the clock: a server that has everything closes the connection at once. */
const CLOSE_WAIT = 20_000;
/** After so many runs a good client has to be served as ever. */
const CHECK_EVERY = 50;

const MASK = Buffer.of(1, 2, 3, 4);

/** One frame of RFC 6455 as a client sends it. */
function frame(
  opcode: number,
  payload: Uint8Array,
  { final = true, masked = true, claimed = payload.length } = {},
): Buffer {
  const first = (final ? 0x80 : 0) | opcode;
  const maskBit = masked ? 0x80 : 0;
  const short = claimed < 126 ? Buffer.of(first, maskBit | claimed) : Buffer.alloc(claimed < 65_536 ? 4 : 10);
  if (claimed >= 126) {
    short[0] = first;
    short[1] = maskBit | (claimed < 65_536 ? 126 : 127);
    if (claimed < 65_536) short.writeUInt16BE(claimed, 2);
    else short.writeBigUInt64BE(BigInt(claimed), 2);
  }
  const data = masked ? payload.map((byte, at) => byte ^ MASK[at % 4]!) : payload;
  return Buffer.concat([short, masked ? MASK : Buffer.alloc(0), data]);
}

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.constant(encodeMessage({ execute: "qmp_capabilities" })),
  fc.constant(encodeMessage({ execute: "query-status", id: 1 })),
  fc.nat(70_000).map((length) => new Uint8Array(length)),
);
const frames = fc.array(
  fc
    .record({
      opcode: fc.constantFrom(2, 2, 2, 0, 1, 8, 9, 10, 3, 15),
      payload,
      final: fc.constantFrom(true, true, false),
      masked: fc.constantFrom(true, true, true, false),
      claimed: fc.constantFrom(
        undefined,
        undefined,
        undefined,
        0,
        125,
        126,
        65_535,
        2 ** 20,
        2 ** 20 + 1,
        2 ** 40,
      ),
      times: fc.constantFrom(1, 1, 1, 1, 300, 2000),
    })
    .map(({ opcode, payload: bytes, final, masked, claimed, times }) => {
      const data = times > 1 ? bytes.subarray(0, 8) : bytes;
      const one = frame(opcode, data, { final, masked, claimed: claimed ?? data.length });
      return Buffer.concat(Array.from({ length: times }, () => one));
    }),
  { maxLength: 5 },
);

function handshake(port: number, path: string, headers: readonly string[]): Buffer {
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    ...headers,
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`);
}

const extra = fc.constantFrom(
  "Origin: http://evil.example",
  "Origin: http://localhost",
  "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
  "Sec-WebSocket-Protocol: other",
  "Content-Length: 5",
  "Content-Length: 99999999999999999999",
  "Transfer-Encoding: chunked",
  `X: ${"x".repeat(20_000)}`,
  "Host: evil.example",
  "Expect: 100-continue",
);

/** Everything that is sent, and what comes back until the other side has closed the connection. */
function exchange(port: number, chunks: readonly Uint8Array[]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const received: Buffer[] = [];
    const socket = net.connect({ port, host: "127.0.0.1" });
    const timer = setTimeout(() => {
      reject(new Error(`a connection was still open after ${CLOSE_WAIT} ms`));
      socket.destroy();
    }, CLOSE_WAIT);
    // It may be refused before it has said everything.
    socket.on("error", () => {});
    socket.on("data", (data) => received.push(data));
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(Buffer.concat(received));
    });
    socket.on("connect", () => {
      for (const chunk of chunks) socket.write(chunk);
      socket.end();
    });
  });
}

interface Servers {
  readonly listener: Listener;
  readonly monitor: MonitorServer;
  readonly ports: readonly number[];
  /** Of channels that are read to their ends. */
  readonly failures: unknown[];
}

let servers: Servers | undefined;

async function start(): Promise<Servers> {
  const listener = await listen("ws://127.0.0.1:0/");
  const monitor = new MonitorServer(monitorOf(new FakeAgent()));
  const addresses = [listener.address, await monitor.listen("ws://127.0.0.1:0/")];
  const ports = addresses.map((address) => (address.kind === "ws" ? address.port : 0));
  const failures: unknown[] = [];
  void acceptAll(listener, failures);
  return { listener, monitor, ports, failures };
}

async function acceptAll(listener: Listener, failures: unknown[]): Promise<void> {
  for (;;) {
    const channel = await listener.accept().catch(() => undefined);
    if (channel === undefined) return;
    void readAll(channel, failures);
  }
}

async function readAll(channel: Channel, failures: unknown[]): Promise<void> {
  try {
    for await (const _ of channel.read());
    await channel.end();
  } catch (error) {
    if (!MigrationError.is(error) || error.code === "INTERNAL") failures.push(error);
  }
  channel.destroy();
}

/** Ends the servers. */
export async function endServers(): Promise<void> {
  await servers?.listener.close();
  await servers?.monitor.close();
}

/** Handshakes and frames over real sockets, to a migration's listener and to a monitor: both close, and serve the next one. */
export async function webSocketProperty(): Promise<fc.IAsyncPropertyWithHooks<unknown>> {
  servers = await start();
  const { ports, failures } = servers;
  let runs = 0;
  const good = (port: number): Buffer =>
    Buffer.concat([
      handshake(port, "/", [`Sec-WebSocket-Protocol: ${SUBPROTOCOL}`]),
      frame(2, encodeMessage({ execute: "qmp_capabilities" })),
      frame(8, Buffer.of(3, 232)),
    ]);
  return fc.asyncProperty(
    fc.nat(1),
    fc.array(extra, { maxLength: 2 }),
    fc.constantFrom(true, true, true, false),
    fc.constantFrom("/", "/", "/", "/other", "*", "http://127.0.0.1/"),
    frames,
    fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: mutations }),
    fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 6 }),
    async (which, headers, negotiates, path, sent, changes, sizes) => {
      const port = ports[which]!;
      const head = handshake(port, path, [
        ...(negotiates ? [`Sec-WebSocket-Protocol: ${SUBPROTOCOL}`] : []),
        ...headers,
      ]);
      const ends = [...head.keys()].filter((at) => "\n: ".includes(String.fromCharCode(head[at]!)));
      const sample = {
        name: "web socket",
        bytes: Buffer.concat([head, ...sent]),
        ends: [ends, [head.length]],
      };
      const bytes = mutate(sample, changes);
      const answer = await exchange(port, chunked(bytes, sizes));
      const known = answer.length === 0 || answer.subarray(0, 9).toString("latin1") === "HTTP/1.1 ";
      require(known, `an answer that is none: ${answer.subarray(0, 40).toString("latin1")}`);
      require(failures.length === 0, `a channel failed: ${String(failures[0])}`);
      runs += 1;
      if (runs % CHECK_EVERY !== 0) return;
      for (const one of ports) {
        const served = await exchange(one, [good(one)]);
        require(served.subarray(0, 12).toString("latin1") ===
          "HTTP/1.1 101", "a good client is not served any more");
      }
    },
  );
}
