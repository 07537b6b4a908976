import { describe, expect, test } from "vitest";
import type { Address } from "./address.ts";
import { connect, listen, parseUri } from "./uri.ts";

/** Every row of section 8 of the description of the behaviour: what can be named as where a guest goes and comes from. */
const ROWS: readonly [uri: string, address: Address][] = [
  ["tcp:HOST:4444", { kind: "tcp", host: "HOST", port: 4444 }],
  ["unix:PATH", { kind: "unix", path: "PATH" }],
  ["exec:COMMAND", { kind: "exec", command: "COMMAND" }],
  ["fd:NAME", { kind: "fd", descriptor: "NAME" }],
  ["fd:7", { kind: "fd", descriptor: 7 }],
  ["file:PATH", { kind: "file", path: "PATH", offset: 0 }],
  ["file:PATH,offset=4k", { kind: "file", path: "PATH", offset: 4096 }],
  ["ws://host:4444", { kind: "ws", host: "host", port: 4444, resource: "/", tls: {} }],
  ["wss://host:4444/path", { kind: "wss", host: "host", port: 4444, resource: "/path", tls: {} }],
];

/** What is only there where somebody has built it in. */
const NOT_BUILT_IN = ["rdma:127.0.0.1:4444", "vsock:2:4444"];

describe("section 8", () => {
  test.each(ROWS)("%s is understood, going out and coming in", (uri, address) => {
    expect(parseUri(uri, "outgoing")).toEqual(address);
    expect(parseUri(uri, "incoming")).toEqual(address);
  });

  test.each(NOT_BUILT_IN)("%s is an unknown scheme, going out and coming in", async (uri) => {
    await expect(connect(uri)).rejects.toMatchObject({
      code: "UNKNOWN_SCHEME",
      message: "Parameter 'uri' expects a valid migration protocol",
    });
    await expect(listen(uri)).rejects.toMatchObject({
      code: "UNKNOWN_SCHEME",
      message: `unknown migration protocol: ${uri}`,
    });
  });
});
