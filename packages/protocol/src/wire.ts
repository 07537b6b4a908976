/** Numbers of the migration stream, version 3. All integers on the wire are big-endian. */

/** "QEVM". */
export const STREAM_MAGIC = 0x5145564d;
/** The only version of the stream that is read and written. */
export const STREAM_VERSION = 3;

/** The byte that starts each item of the stream. */
export const SECTION_TYPE = {
  endMark: 0x00,
  start: 0x01,
  part: 0x02,
  end: 0x03,
  full: 0x04,
  subsection: 0x05,
  vmDescription: 0x06,
  configuration: 0x07,
  command: 0x08,
  footer: 0x7e,
} as const;

export const COMMAND_CODE = {
  openReturnPath: 1,
  ping: 2,
  postcopyAdvise: 3,
  postcopyListen: 4,
  postcopyRun: 5,
  postcopyRamDiscard: 6,
  packaged: 7,
  enableColo: 8,
  postcopyResume: 9,
  recvBitmap: 10,
  switchoverStart: 11,
  // Ours, sent only to a destination that has said that it knows them: see extensions.ts.
  handOver: 0x5045,
  alive: 0x5046,
} as const;

/** First byte of the payload of HAND_OVER; 16 bytes that name the migration follow. */
export const HAND_OVER_STEP = { offer: 1, give: 2, keep: 3 } as const;
/** Length of what names a migration in HAND_OVER and LOADED. */
export const MIGRATION_ID_BYTES = 16;

/** The version byte that opens the payload of POSTCOPY_RAM_DISCARD. */
export const RAM_DISCARD_VERSION = 0;

export const RETURN_MESSAGE_TYPE = {
  shut: 1,
  pong: 2,
  requestPagesOfBlock: 3,
  requestPages: 4,
  recvBitmap: 5,
  resumeAck: 6,
  switchoverAck: 7,
  // Ours, sent only to a source that has asked for them: see extensions.ts.
  loaded: 0x5045,
  alive: 0x5046,
  reason: 0x5047,
} as const;

/** The be64 that ends the bitmap behind a RECV_BITMAP message, as its two halves. */
export const RECV_BITMAP_END = { high: 0x01234567, low: 0x89abcdef } as const;

/** Flags in the low bits of a RAM word; the high bits are a page offset. */
export const RAM_FLAG = {
  zero: 0x02,
  memSize: 0x04,
  page: 0x08,
  endOfSection: 0x10,
  continue: 0x20,
  xbzrle: 0x40,
  compressedPage: 0x100,
  multifdFlush: 0x200,
} as const;

/** Bytes of a page on the wire. */
export const WIRE_PAGE_SIZE = 4096;

/** The most that zlib makes of a page: what its compressBound says for 4096 bytes. */
export const MAX_COMPRESSED_PAGE_BYTES = 4110;

/** The section that carries guest memory. */
export const RAM_SECTION = { name: "ram", instance: 0, version: 4 } as const;

/** The section that carries the run state. */
export const GLOBAL_STATE_SECTION = { name: "globalstate", instance: 0, version: 1 } as const;

/** Names and the one version of the configuration section's subsections. */
export const CONFIGURATION_SUBSECTION = {
  targetPageBits: "configuration/target-page-bits",
  capabilities: "configuration/capabilities",
  uuid: "configuration/uuid",
} as const;
export const CONFIGURATION_SUBSECTION_VERSION = 1;
export const UUID_BYTES = 16;
