import { MigrationError } from "@peregrine/protocol";
import { describe, expect, test } from "vitest";
import { closeAll, deferred, listening, TCP } from "../test/arrival.ts";
import { stoppedSource } from "../test/machines.ts";
import { TestStream } from "../test/stream-maker.ts";
import { incomingInfo } from "./incoming-info.ts";
import type { IncomingProgress } from "./incoming-result.ts";

const progress: IncomingProgress = {
  bytes: 1,
  pages: 2,
  zeroPages: 3,
  totalTime: 4,
  lateDevicesTime: 5,
  startTime: 6,
  afterAnswerTime: 1,
};
const tcp = { kind: "tcp", host: "127.0.0.1", port: 4444 } as const;
const inet = { type: "inet", host: "127.0.0.1", port: "4444", ipv4: true };
const failure = new MigrationError("LOAD_FAILED", "it is too big");

/** As QEMU 10.0 answers with `-incoming` and these addresses. */
describe("query-migrate where a guest is to arrive", () => {
  test.each([
    ["setup", { kind: "setup" }, undefined, {}],
    ["listening", { kind: "listening", address: tcp }, tcp, { status: "setup", "socket-address": [inet] }],
    ["active", { kind: "active", peer: "x", progress }, tcp, { status: "active", "socket-address": [inet] }],
    ["loaded", { kind: "loaded", runState: "running", progress }, tcp, { status: "completed" }],
    [
      "failed",
      { kind: "failed", error: failure, progress },
      tcp,
      { status: "failed", "error-desc": "load of migration failed: it is too big" },
    ],
  ] as const)("%s", (_, status, address, answer) => {
    expect(incomingInfo(status, address)).toStrictEqual(answer);
  });

  test.each([
    [{ kind: "tcp", host: "::1", port: 1 }, [{ type: "inet", host: "::1", port: "1", ipv6: true }]],
    [{ kind: "unix", path: "/x.sock" }, [{ type: "unix", path: "/x.sock" }]],
    [{ kind: "file", path: "/x", offset: 0 }, undefined],
  ] as const)("at %o", (address, sockets) => {
    const answer = incomingInfo({ kind: "listening", address }, address);
    expect(answer).toEqual({ status: "setup", ...(sockets && { "socket-address": sockets }) });
  });

  test("from the beginning to the end", async () => {
    const { incoming } = deferred();
    expect(incoming.info()).toEqual({});
    const { machine } = await stoppedSource();
    const stream = await TestStream.of(machine);
    const arrival = await listening({ uri: TCP });
    const waiting = arrival.incoming.info();
    expect(waiting).toMatchObject({
      status: "setup",
      "socket-address": [{ type: "inet", host: "127.0.0.1" }],
    });
    const sender = await arrival.connect();
    await sender.channel.write(stream.upTo("ram-end"));
    await sender.received(2);
    expect(arrival.incoming.info()).toEqual({ ...waiting, status: "active" });
    await sender.send(stream.bytes.subarray(stream.offsetOf("ram-end")));
    await arrival.incoming.done;
    expect(arrival.incoming.info()).toEqual({ status: "completed" });
    await closeAll();
  });
});
