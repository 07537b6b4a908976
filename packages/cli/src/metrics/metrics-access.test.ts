import { AccessToken } from "@peregrine/monitor";
import { expect, test } from "vitest";
import { metricsAccess } from "./metrics-access.ts";
import { parseMetricsAddress, requireMetricsToken } from "./metrics-address.ts";

const TOKEN = "correct-horse-battery-staple";

test.each([
  ["127.0.0.1:9464", { kind: "tcp", host: "127.0.0.1", port: 9464 }],
  ["[::1]:0", { kind: "tcp", host: "::1", port: 0 }],
  ["unix:/run/m", { kind: "unix", path: "/run/m" }],
])("%s is understood", (text, address) => {
  expect(parseMetricsAddress(text)).toMatchObject(address);
});

test.each(["127.0.0.1", "9464", "127.0.0.1:99999", "unix:", "http://127.0.0.1:9464/"])(
  "%s is refused",
  (text) => {
    expect(() => parseMetricsAddress(text)).toThrow(expect.objectContaining({ code: "BAD_ADDRESS" }));
  },
);

test.each([
  ["127.0.0.1:1", false],
  ["[::1]:1", false],
  ["localhost:1", false],
  ["unix:/run/m", false],
  ["0.0.0.0:1", true],
  ["[::]:1", true],
  ["10.0.0.1:1", true],
  ["other-host:1", true],
])("%s needs a token: %s", (text, needed) => {
  const address = parseMetricsAddress(text);
  expect(() => requireMetricsToken(address, true)).not.toThrow();
  if (needed) {
    expect(() => requireMetricsToken(address, false)).toThrow(
      expect.objectContaining({ code: "TOKEN_NEEDED" }),
    );
  } else expect(() => requireMetricsToken(address, false)).not.toThrow();
});

test("where there is a token, it is needed, also on this host", () => {
  const authorize = metricsAccess(parseMetricsAddress("127.0.0.1:1"), new AccessToken(TOKEN));
  const host = "127.0.0.1:1";
  expect(authorize({ headers: { host } })).toBe("token-needed");
  expect(authorize({ headers: { host, authorization: `Bearer ${TOKEN}` } })).toBe("allowed");
  for (const authorization of [`Bearer ${TOKEN}x`, `Basic ${TOKEN}`, "Bearer", TOKEN]) {
    expect(authorize({ headers: { host, authorization } })).toBe("wrong-token");
  }
});

test("where there is none, a page that found this host by another name is refused", () => {
  const authorize = metricsAccess(parseMetricsAddress("127.0.0.1:1"), undefined);
  for (const host of ["127.0.0.1:1", "localhost:1", "[::1]:1"]) {
    expect(authorize({ headers: { host } })).toBe("allowed");
  }
  for (const host of ["rebound.example:1", "127.0.0.1.example", "", undefined]) {
    expect(authorize({ headers: { host } })).toBe("wrong-host");
  }
});

test("a unix socket is its owner's", () => {
  expect(metricsAccess(parseMetricsAddress("unix:/run/m"), new AccessToken(TOKEN))({ headers: {} })).toBe(
    "allowed",
  );
});
