/**
 * The control memory: a second memory of the rewritten module, out of the guest's reach. Byte addresses.
 * The stop flag has a cache line of its own because every loop of the guest reads it.
 */
export const CONTROL = {
  /** i32: not 0 when the guest is to unwind at its next safepoint. */
  flag: 0,
  /** i32: end of the saved frames, an address in this memory. */
  framesEnd: 128,
  /** i32: 1 since a frame was saved or the globals were; the host clears it before it resumes the guest. */
  saved: 132,
  /** i32: where the next values of the frame that is being taken are. */
  valuesRead: 136,
  /** One byte for each passive data segment and then each element segment: 1 once it was dropped. */
  dropped: 4096,
  droppedBytes: 61440,
  /** One byte for each 4 KiB page of the guest's memory (at most 4 GiB): 1 when it was written. */
  dirtyMap: 0x10000,
  dirtyMapBytes: 0x100000,
  /** Saved frames, innermost first. */
  frames: 0x110000,
  /** Memory pages (64 KiB) at the start, and the most there can be. */
  initialPages: 0x110000 / 65536 + 16,
  maximumPages: 0x110000 / 65536 + 4096,
} as const;

/** Bytes behind the values of a frame: site, size of the whole frame, ordinal of its function, unused (all u32, little-endian). */
export const FRAME_TRAILER = 16;
