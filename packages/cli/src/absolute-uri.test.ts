import { resolve } from "node:path";
import { expect, test } from "vitest";
import { absoluteUri } from "./absolute-uri.ts";

test.each([
  ["tcp:host:4444", "tcp:host:4444"],
  ["unix:guest.sock", `unix:${resolve("guest.sock")}`],
  ["file:vm,offset=1k", `file:${resolve("vm")},offset=1024`],
  ["exec:cat > vm", "exec:cat > vm"],
  ["fd:7", "fd:7"],
  ["fd:migration", "fd:migration"],
  ["ws://host:4444/a", "ws://host:4444/a"],
  [
    "wss://host:4444/?ca=ca.pem",
    `wss://host:4444/?${new URLSearchParams({ ca: resolve("ca.pem") }).toString()}`,
  ],
])("%s is %s for an agent elsewhere", (uri, absolute) => {
  expect(absoluteUri(uri)).toBe(absolute);
});
