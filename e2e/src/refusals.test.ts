import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ByteWriter, encodeConfiguration, encodeHeader, encodeSectionHeader } from "@peregrine/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pathOf } from "../../examples/guests/guests.ts";
import { Host, migrate, type PeregrineProcess } from "./agent-process.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "peregrine-refusals-"));
});
afterAll(() => rm(directory, { recursive: true }));

/** One sentence on standard error, with its code, and exit status 1. */
async function expectRefused(started: PeregrineProcess, code: string, sentence: RegExp): Promise<void> {
  expect((await started.ended).status).toBe(1);
  const lines = started.stderr.text.trim().split("\n");
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(new RegExp(`^peregrine: ${code}: `));
  expect(lines[0]).toMatch(sentence);
}

describe("peregrine run refuses, in one sentence,", () => {
  const refuses = (
    what: string,
    file: string,
    content: Uint8Array | undefined,
    code: string,
    sentence: RegExp,
  ): void => {
    it(what, async () => {
      await using host = await Host.create();
      const path = join(directory, file);
      if (content !== undefined) await writeFile(path, content);
      await expectRefused(host.start(["run", path]), code, sentence);
    });
  };
  const module = (...sections: number[][]): Uint8Array => Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections.flat()]); // prettier-ignore

  refuses("a module that is not there", "none.wasm", undefined, "NO_SUCH_FILE", /none\.wasm/);
  refuses(
    "a file that is no wasm",
    "text.wasm",
    new TextEncoder().encode("hello\n"),
    "NOT_WASM",
    /not a valid WebAssembly module/,
  );
  refuses(
    "a module with guest threads",
    "threads.wasm",
    // (module (memory (export "memory") 1 1 shared) (func (export "_start")))
    module([1, 4, 1, 0x60, 0, 0], [3, 2, 1, 0], [5, 4, 1, 3, 1, 1], [7, 19, 2, 6, 109, 101, 109, 111, 114, 121, 2, 0, 6, 95, 115, 116, 97, 114, 116, 0, 0], [10, 4, 1, 2, 0, 0x0b]), // prettier-ignore
    "UNSUPPORTED_FEATURE",
    /shared memory \(guest threads\).*offset 0x/,
  );
});

describe("a migration that cannot work fails in one sentence, and the guest runs on:", () => {
  async function running(host: Host): Promise<PeregrineProcess> {
    return host.run(pathOf("torture.wasm"), [], ["--mib", "4", "--rate", "16", "--sweeps", "100000"]);
  }

  /** It runs, its output goes on, and a migration that can work does. */
  async function expectRunning(host: Host, guest: PeregrineProcess): Promise<void> {
    expect(await guest.execute("query-status")).toMatchObject({ status: "running" });
    const length = guest.stdout.bytes.length;
    while (guest.stdout.bytes.length === length) await guest.stdout.change();
    const next = await host.receive("unix");
    expect(await migrate(guest, next.uri)).toMatchObject({ status: "completed" });
    await next.agent.until("stdout", /\n/);
  }

  it("nothing listens on the port", async () => {
    await using host = await Host.create();
    const guest = await running(host);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    const migration = host.start(["migrate", guest.name, `tcp:127.0.0.1:${port}`]);
    expect((await migration.ended).status).toBe(1);
    expect(migration.stderr.text).toMatch(
      new RegExp(
        `^peregrine: CONNECT_FAILED: Failed to connect to '127.0.0.1:${port}': Connection refused\n$`,
      ),
    );
    await expectRunning(host, guest);
  });

  it("the destination speaks something else", async () => {
    await using host = await Host.create();
    const guest = await running(host);
    const server = createServer((socket: Socket) => {
      socket.on("error", () => undefined);
      socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const result = await migrate(guest, `tcp:127.0.0.1:${port}`);
    server.close();
    expect(result).toMatchObject({ status: "failed" });
    expect(result["error-desc"]).toMatch(/return path/);
    await expectRunning(host, guest);
  });
});

/** The head of a stream as QEMU 10.0 writes it: header, configuration, and the beginning of its `ram` section. */
const qemuStream = (): Uint8Array => {
  const writer = new ByteWriter();
  encodeHeader(writer);
  encodeConfiguration(writer, { machineType: "pc-i440fx-10.0" });
  encodeSectionHeader(writer, { kind: "start", id: 1, name: "ram", instance: 0, version: 4 });
  return writer.view().slice();
};

describe("peregrine receive says what is wrong with a stream, and exits with status 1:", () => {
  const sends = (what: string, bytes: () => Uint8Array, sentence: RegExp): void => {
    it(what, async () => {
      await using host = await Host.create();
      const { agent, uri } = await host.receive("tcp");
      const socket = connect(Number(uri.split(":").at(-1)), "127.0.0.1");
      socket.on("error", () => undefined);
      socket.end(bytes());
      expect((await agent.ended).status).toBe(1);
      const lines = agent.stderr.text.trim().split("\n").slice(1);
      expect(lines).toHaveLength(2);
      expect(lines[0]).toMatch(sentence);
      expect(lines[1]).toMatch(/^peregrine: load of migration failed: /);
      expect(agent.stdout.text).toBe("");
    });
  };
  sends(
    "something that is no stream",
    () => new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"),
    /Not a migration stream/,
  );
  sends(
    "a real QEMU's machine",
    qemuStream,
    /Machine type received is 'pc-i440fx-10.0' and local is 'wasm-1'/,
  );
  sends("a stream that is cut off", () => qemuStream().subarray(0, 17), /Input\/output error.*byte 17/);
  sends(
    "an old version",
    () => Uint8Array.from([0x51, 0x45, 0x56, 0x4d, 0, 0, 0, 2, 0]),
    /SaveVM v2 format is obsolete/,
  );
});
