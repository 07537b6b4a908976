import fc from "fast-check";
import { expect, test } from "vitest";
import golden from "../test/golden/self-announce.json" with { type: "json" };
import { encodeSelfAnnounce, parseMac } from "./self-announce.ts";

test.each(golden)("the interface $mac is announced as QEMU does it", ({ mac, frame }) => {
  expect(Buffer.from(encodeSelfAnnounce(parseMac(mac))).toString("hex")).toBe(frame);
});

test("an announcement names its interface wherever an address stands", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (mac) => {
      const frame = encodeSelfAnnounce(mac);
      expect(frame).toHaveLength(60);
      for (const at of [6, 22, 32]) expect(frame.subarray(at, at + 6)).toEqual(mac);
    }),
  );
});

test("an address may be written in capitals", () => {
  expect(parseMac("52:54:00:AB:cd:EF")).toEqual(Uint8Array.of(0x52, 0x54, 0, 0xab, 0xcd, 0xef));
});

test.each([
  "",
  "52:54:00:12:34",
  "52:54:00:12:34:56:78",
  "52-54-00-12-34-56",
  "52:54:00:12:34:5",
  "x2:54:00:12:34:56",
])("'%s' is no address", (text) => {
  expect(() => parseMac(text)).toThrow(`'${text}' is no MAC address such as 52:54:00:12:34:56`);
});

test.each(["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"])("%s is the address of no interface", (text) => {
  expect(() => parseMac(text)).toThrow("is one of a group");
});
