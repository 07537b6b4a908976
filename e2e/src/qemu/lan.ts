import { type ChildProcess, spawn } from "node:child_process";
import dgram from "node:dgram";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Output } from "../output.ts";
import type { QemuRelease } from "./releases.ts";
import { LOOK_MS } from "./virtual-machine.ts";

/** A frame, and when it was seen: milliseconds of the clock of who saw it. */
export interface SeenFrame {
  readonly at: number;
  readonly frame: Uint8Array;
}

const PCAP_HEADER_BYTES = 24;
const PCAP_RECORD_BYTES = 16;

/** A QEMU without a machine: a hub between a stream and a datagram socket, which writes down what comes by. */
export class QemuHub {
  /** `stream:unix:PATH` */
  readonly stream: string;
  /** `dgram:HOST:PORT` */
  readonly datagrams: string;
  /** `dgram:unix:PATH`. What comes there is in the capture of the stream, too. */
  readonly unixDatagrams: string;
  readonly #child: ChildProcess;
  readonly #stderr: Output;
  readonly #ended: Promise<unknown>;
  readonly #captures: { readonly stream: string; readonly datagrams: string };

  private constructor(release: QemuRelease, directory: string, port: number, peerPort: number) {
    const socket = join(directory, "lan");
    this.stream = `stream:unix:${socket}`;
    this.datagrams = `dgram:127.0.0.1:${port}`;
    const unixSocket = join(directory, "lan-datagrams");
    this.unixDatagrams = `dgram:unix:${unixSocket}`;
    this.#captures = { stream: join(directory, "stream.pcap"), datagrams: join(directory, "datagrams.pcap") };
    const inet = (side: string, at: number): string =>
      `${side}.type=inet,${side}.host=127.0.0.1,${side}.port=${at}`;
    const options = [
      ["-no-user-config", "-nodefaults", "-display", "none", "-machine", "none", "-accel", "tcg"],
      ["-netdev", `stream,id=s,server=on,addr.type=unix,addr.path=${socket}`],
      ["-netdev", `dgram,id=d,${inet("local", port)},${inet("remote", peerPort)}`],
      [
        "-netdev",
        `dgram,id=u,local.type=unix,local.path=${unixSocket},remote.type=unix,remote.path=${unixSocket}.peer`,
      ],
      ["-netdev", "hubport,id=hu,hubid=0,netdev=u"],
      ["-netdev", "hubport,id=hs,hubid=0,netdev=s", "-netdev", "hubport,id=hd,hubid=0,netdev=d"],
      ["-object", `filter-dump,id=fs,netdev=s,file=${this.#captures.stream}`],
      ["-object", `filter-dump,id=fd,netdev=d,file=${this.#captures.datagrams}`],
    ].flat();
    // It ends with this process, also when that is killed.
    const command = ["--pdeathsig", "KILL", release.binary, ...release.options, ...options];
    this.#child = spawn("setpriv", command, { stdio: ["ignore", "ignore", "pipe"] });
    this.#stderr = new Output(this.#child.stderr!);
    this.#ended = once(this.#child, "close");
  }

  /** @param peerPort where it sends the datagrams, on this host. Resolves when it takes connections. */
  static async start(release: QemuRelease, directory: string, peerPort: number): Promise<QemuHub> {
    const hub = new QemuHub(release, directory, await freePort(), peerPort);
    while (!existsSync(hub.stream.slice("stream:unix:".length))) {
      if (hub.#child.exitCode !== null) throw new Error(`the hub has ended: ${hub.#stderr.text}`);
      await delay(LOOK_MS);
    }
    return hub;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** What has come by on one of its sockets. */
  async seen(socket: "stream" | "datagrams"): Promise<SeenFrame[]> {
    const bytes = await readFile(this.#captures[socket]);
    const frames: SeenFrame[] = [];
    for (let at = PCAP_HEADER_BYTES; at + PCAP_RECORD_BYTES <= bytes.length;) {
      const begin = at + PCAP_RECORD_BYTES;
      const end = begin + bytes.readUInt32LE(at + 8);
      const milliseconds = bytes.readUInt32LE(at) * 1000 + bytes.readUInt32LE(at + 4) / 1000;
      if (end <= bytes.length)
        frames.push({ at: milliseconds, frame: new Uint8Array(bytes.subarray(begin, end)) });
      at = end;
    }
    return frames;
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

async function freePort(): Promise<number> {
  const probe = dgram.createSocket("udp4");
  await once(probe.bind(0, "127.0.0.1"), "listening");
  const { port } = probe.address();
  probe.close();
  return port;
}
