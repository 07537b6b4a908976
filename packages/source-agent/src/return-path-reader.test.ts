import {
  agreeTo,
  ALL_EXTENSIONS,
  askFor,
  ByteWriter,
  encodeReturnMessage,
  MigrationError,
  NO_EXTENSIONS,
} from "@peregrine/protocol";
import type { Extensions, ReturnMessage } from "@peregrine/protocol";
import { describe, expect, test } from "vitest";
import { ReturnPathReader } from "./return-path-reader.ts";
import { FakeChannel } from "./testing/fake-channel.ts";

function bytes(...messages: ReturnMessage[]): Uint8Array {
  const writer = new ByteWriter();
  for (const message of messages) encodeReturnMessage(writer, message);
  return writer.view().slice();
}

async function read(
  incoming: readonly Uint8Array[],
  options: {
    complete?: boolean;
    error?: MigrationError;
    acknowledges?: boolean;
    offered?: boolean;
    given?: boolean;
  } = {},
) {
  const channel = new FakeChannel({ incoming });
  channel.error = options.error;
  const errors: MigrationError[] = [];
  const log: string[] = [];
  const agreed: Extensions[] = [];
  const reader = new ReturnPathReader({
    channel,
    asks: ALL_EXTENSIONS,
    agreed: (extensions) => agreed.push(extensions),
    heard: () => {},
    acknowledges: options.acknowledges ?? false,
    failed: (error) => errors.push(error),
    prepared: () => log.push("prepared"),
  });
  void reader.confirmed.then(() => log.push("confirmed"));
  if (options.complete === true) reader.streamComplete(options.offered === true ? MIGRATION : undefined);
  if (options.given === true) reader.given();
  await reader.run();
  return { agreed, errors, log, reader };
}

const MIGRATION = "00112233445566778899aabbccddeeff";
const SHUT = { kind: "shut", status: 0 } as const;
const ACK = { kind: "switchover-ack" } as const;
const pong = (value: number) => ({ kind: "pong", value }) as const;

describe("the return path", () => {
  test("an echo of the question agrees to nothing; an answer does", async () => {
    const echo = await read([bytes(pong(1), pong(askFor(ALL_EXTENSIONS)), SHUT)], { complete: true });
    expect([echo.reader.extensions, echo.agreed]).toEqual([NO_EXTENSIONS, [NO_EXTENSIONS]]);
    const some = { handOver: true, reasons: false, alive: true };
    const answer = await read([bytes(pong(1), pong(agreeTo(some)), SHUT)], { complete: true });
    expect([answer.reader.extensions, answer.agreed, answer.errors]).toEqual([some, [some], []]);
  });

  test("a destination that was offered the guest is not believed to have it before it was given", async () => {
    const loaded = { kind: "loaded", migration: MIGRATION } as const;
    const early = await read([bytes(loaded, SHUT)], { complete: true, offered: true });
    expect(early.errors[0]?.message).toContain("SHUT 0 came before the guest was given to it");
    const given = await read([bytes(loaded, SHUT)], { complete: true, offered: true, given: true });
    expect([given.errors, given.log]).toEqual([[], ["confirmed"]]);
    await given.reader.loaded;
  });

  test.for([
    [{ kind: "loaded", migration: MIGRATION }, false],
    [{ kind: "loaded", migration: "ff".repeat(16) }, true],
  ] as const)("it cannot have loaded what was not offered: %o", async ([message, offered]) => {
    const { errors } = await read([bytes(message)], { complete: true, offered });
    expect(errors.map(({ code }) => code)).toEqual(["BAD_RETURN_MESSAGE"]);
  });

  test("the reason of a destination is the reason here", async () => {
    const reason = { kind: "reason", text: "Unknown savevm section 77 (section 'ram', byte 4711)" } as const;
    const { errors, reader } = await read([bytes(reason, { kind: "shut", status: 1 })]);
    expect(errors[0]?.message).toBe(
      "The destination '127.0.0.1:4444' could not load the guest: Unknown savevm section 77 (section 'ram', byte 4711)",
    );
    expect([errors[0]?.code, reader.refused]).toEqual(["PEER_REFUSED", true]);
  });

  test("a destination that loads the guest", async () => {
    const { errors, log, reader } = await read([bytes(pong(1), pong(2)), bytes(SHUT)], { complete: true });
    expect({ errors, log, prepared: reader.prepared }).toEqual({
      errors: [],
      log: ["prepared", "confirmed"],
      prepared: true,
    });
  });

  test("a bitmap, which nobody has asked for, is refused before it has come", async () => {
    const bitmap = bytes({ kind: "recv-bitmap", block: "pc.ram", bitmap: new Uint8Array(8) });
    const { errors } = await read([bitmap.subarray(0, bitmap.length - 16)]);
    expect(errors).toMatchObject([
      {
        code: "LIMIT_EXCEEDED",
        message: expect.stringContaining("8 bytes of bitmap are more than the limit of 0"),
      },
    ]);
  });

  test.each([
    {
      name: "refuses",
      incoming: [bytes({ kind: "shut", status: 1 })],
      code: "PEER_REFUSED",
      text: "The destination '127.0.0.1:4444' could not load the guest (status 1); its own log has the reason",
    },
    {
      name: "confirms too early",
      incoming: [bytes(pong(1), SHUT)],
      code: "BAD_RETURN_MESSAGE",
      text: "The destination '127.0.0.1:4444' broke the protocol of the return path: SHUT 0 came before the end of the stream (byte 8)",
    },
    {
      name: "answers a ping that was not sent",
      incoming: [bytes(pong(3))],
      code: "BAD_RETURN_MESSAGE",
      text: "The destination '127.0.0.1:4444' broke the protocol of the return path: PONG 3 answers no ping (byte 0)",
    },
    {
      name: "asks for pages although there is no postcopy",
      incoming: [bytes({ kind: "request-pages", start: 0, length: 4096 })],
      code: "BAD_RETURN_MESSAGE",
      text: "The destination '127.0.0.1:4444' broke the protocol of the return path: The message 'request-pages' answers nothing (byte 0)",
    },
    {
      name: "sends garbage",
      incoming: [bytes(pong(1)), new TextEncoder().encode("HTTP/1.1 400 Bad Request")],
      code: "BAD_RETURN_MESSAGE",
      text: "The destination '127.0.0.1:4444' broke the protocol of the return path: Unknown return path message type 18516 (byte 8)",
    },
    {
      name: "closes",
      incoming: [bytes(pong(1))],
      code: "CHANNEL_FAILED",
      text: "The destination '127.0.0.1:4444' closed the connection during the migration; its own log may say why",
    },
  ])("a destination that $name", async ({ incoming, code, text }) => {
    const { errors, reader } = await read(incoming);
    expect(errors.map((error) => [error.code, error.message])).toEqual([[code, text]]);
    expect(reader.prepared).toBe(false);
  });

  test("a destination that closes in the middle of a message", async () => {
    const { errors } = await read([bytes(pong(1)).subarray(0, 5)]);
    expect(errors[0]).toMatchObject({ code: "TRUNCATED" });
    expect(errors[0]?.message).toContain("127.0.0.1:4444");
  });

  test("a destination that closes instead of confirming", async () => {
    const { errors, log } = await read([], { complete: true });
    expect(errors[0]?.message).toBe(
      "The destination '127.0.0.1:4444' closed the connection without confirming that it has loaded the guest; its own log may say why",
    );
    expect(log).toEqual([]);
  });

  test("a destination that acknowledges the switchover unasked", async () => {
    const { errors, reader } = await read([bytes(ACK, pong(2)), bytes(SHUT)], { complete: true });
    expect({ errors, prepared: reader.prepared }).toEqual({ errors: [], prepared: true });
  });

  test.each([
    ["only prepares", [pong(1), pong(2)], false],
    ["only acknowledges", [pong(1), ACK], false],
    ["acknowledges, then prepares", [ACK, pong(2)], true],
    ["prepares, then acknowledges", [pong(2), ACK], true],
  ] as const)("a destination that is to acknowledge and %s", async (_, messages, prepared) => {
    const { reader, log } = await read([bytes(...messages)], { acknowledges: true });
    expect(reader.prepared).toBe(prepared);
    expect(log.filter((item) => item === "prepared").length).toBeGreaterThan(0);
  });

  test("a destination whose process ends, as QEMU's does when it refuses", async () => {
    for (const code of ["ECONNRESET", "EPIPE"]) {
      const cause = Object.assign(new Error(code), { code });
      const error = new MigrationError("CHANNEL_FAILED", "Connection to 'x' failed: Broken pipe", { cause });
      const { errors } = await read([bytes(pong(1))], { error });
      expect(errors.map((one) => [one.code, one.message])).toEqual([
        [
          "CHANNEL_FAILED",
          "The destination '127.0.0.1:4444' broke off the migration, and its own log may say why: " +
            "Connection to 'x' failed: Broken pipe",
        ],
      ]);
    }
  });

  test("a destination that refuses in words and then ends", async () => {
    const cause = Object.assign(new Error("gone"), { code: "ECONNRESET" });
    const error = new MigrationError("CHANNEL_FAILED", "Connection to 'x' failed", { cause });
    const { errors } = await read([bytes({ kind: "shut", status: 1 })], { error });
    expect(errors.map(({ code }) => code)).toEqual(["PEER_REFUSED"]);
  });

  test("a channel that breaks keeps its own words", async () => {
    const error = new MigrationError("CHANNEL_FAILED", "Connection to 'x' failed: Connection reset by peer");
    expect((await read([], { error })).errors).toEqual([error]);
  });
});
