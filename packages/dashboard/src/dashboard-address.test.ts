import { expect, test } from "vitest";
import { parseDashboardAddress } from "./dashboard-address.ts";

test.each([
  ["127.0.0.1:8620", "127.0.0.1", 8620],
  ["localhost:0", "localhost", 0],
  ["[::1]:1", "::1", 1],
  ["http://127.0.0.1:8620/", "127.0.0.1", 8620],
])("%s is an address of this machine", (text, host, port) => {
  expect(parseDashboardAddress(text)).toEqual({ host, port });
});

test.each(["8620", "127.0.0.1", "127.0.0.1:70000", "127.0.0.1:x", "https://127.0.0.1:1", "", "a b:1"])(
  "%j is none",
  (text) => {
    expect(() => parseDashboardAddress(text)).toThrow(/A dashboard's address is HOST:PORT/u);
  },
);

test.each(["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.org:1"])("%s can be reached by others", (text) => {
  expect(() => parseDashboardAddress(text)).toThrow(/A dashboard has no encryption/u);
});
