import { MigrationError } from "./errors.ts";

const MAC_BYTES = 6;
const MAC_TEXT = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/iu;
/** Set in the first byte of an address of many interfaces. */
const GROUP_BIT = 1;

/** Shortest frame on an Ethernet, without its checksum. */
const FRAME_BYTES = 60;
/** Both addresses and the ethertype. */
const HEADER_BYTES = 14;
/** Hardware is Ethernet, the protocol IPv4, addresses of 6 and 4 bytes, the operation "request reverse". */
const REVERSE_REQUEST = [0x00, 0x01, 0x08, 0x00, 6, 4, 0x00, 0x03];
const SENDER_AT = HEADER_BYTES + REVERSE_REQUEST.length;
/** The addresses of IPv4 are left zero. */
const TARGET_AT = SENDER_AT + MAC_BYTES + 4;

/** `52:54:00:12:34:56` as its bytes. Errors: BAD_ADDRESS, also for an address of more than one interface. */
export function parseMac(text: string): Uint8Array {
  if (!MAC_TEXT.test(text)) {
    throw new MigrationError("BAD_ADDRESS", `'${text}' is no MAC address such as 52:54:00:12:34:56`);
  }
  const mac = Uint8Array.from(text.split(":"), (byte) => Number.parseInt(byte, 16));
  if ((mac[0]! & GROUP_BIT) !== 0) {
    throw new MigrationError(
      "BAD_ADDRESS",
      `The MAC address '${text}' is one of a group, not of an interface`,
    );
  }
  return mac;
}

/**
 * The Ethernet frame with which an interface tells switches where it is now: a request of RARP, as QEMU sends it.
 * @param mac its 6 bytes.
 */
export function encodeSelfAnnounce(mac: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_BYTES);
  frame.fill(0xff, 0, MAC_BYTES);
  frame.set(mac, MAC_BYTES);
  frame.set([0x80, 0x35], MAC_BYTES * 2);
  frame.set(REVERSE_REQUEST, HEADER_BYTES);
  frame.set(mac, SENDER_AT);
  frame.set(mac, TARGET_AT);
  return frame;
}
