import { expect, test } from "vitest";
import { DOMAIN_UUID, libvirtFile } from "../test/libvirt-file.ts";
import {
  decodeLibvirtHeader,
  describeLibvirtImage,
  isLibvirtImage,
  LIBVIRT_HEADER_BYTES,
} from "./libvirt-image.ts";
import type { LibvirtImage } from "./libvirt-image.ts";

const NOTHING = new Uint8Array(0);

function described(file: Uint8Array): LibvirtImage {
  const header = decodeLibvirtHeader(file);
  return describeLibvirtImage(header, file.subarray(LIBVIRT_HEADER_BYTES));
}

test.each([false, true])("the header of a save image, big-endian: %s", (bigEndian) => {
  const file = libvirtFile({ stream: NOTHING, bigEndian, format: 5, cookie: "<cookie/>" });
  expect(isLibvirtImage(file)).toBe(true);
  expect(described(file)).toEqual({
    item: "libvirt",
    complete: true,
    version: 2,
    wasRunning: true,
    format: "zstd",
    domain: "web & mail",
    uuid: DOMAIN_UUID,
    hasCookie: true,
    streamOffset: file.length,
  });
});

test("an image that libvirt had not finished, of a domain that was paused", () => {
  const file = libvirtFile({ stream: NOTHING, magic: "LibvirtQemudPart", version: 1, wasRunning: false });
  expect(described(file)).toMatchObject({ complete: false, version: 1, wasRunning: false, format: "raw" });
});

test("XML without a name", () => {
  const image = described(libvirtFile({ stream: NOTHING, xml: "<domain/>" }));
  expect(image.domain).toBeUndefined();
  expect(image.uuid).toBeUndefined();
});

test("other files are none", () => {
  expect(isLibvirtImage(Buffer.from("LibvirtQemudSav"))).toBe(false);
  expect(isLibvirtImage(Buffer.from("QEVM\0\0\0\x03"))).toBe(false);
});

test.each([
  ["another version", { version: 3 }, "UNSUPPORTED_VERSION"],
  ["an unknown format", { format: 7 }, "BAD_SECTION"],
] as const)("%s is refused", (_name, options, code) => {
  expect(() => described(libvirtFile({ stream: NOTHING, ...options }))).toThrow(
    expect.objectContaining({ code }),
  );
});

test("more XML than the limit is refused before it is read", () => {
  const file = libvirtFile({ stream: NOTHING });
  new DataView(file.buffer).setUint32(20, 16 * 1024 * 1024 + 1, true);
  expect(() => decodeLibvirtHeader(file)).toThrow(expect.objectContaining({ code: "LIMIT_EXCEEDED" }));
});

test("a file that ends in front of the stream is refused, at every length", () => {
  const file = libvirtFile({ stream: NOTHING });
  for (let length = 16; length < file.length; length++) {
    expect(() => described(file.subarray(0, length))).toThrow(expect.objectContaining({ code: "TRUNCATED" }));
  }
});
