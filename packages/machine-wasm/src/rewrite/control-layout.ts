/**
 * The control memory: a second memory of the rewritten module, out of the guest's reach. Byte addresses.
 * The stop flag has a cache line of its own because every loop of the guest reads it. It and the dirty map come first: it is these
 * that the guest's code names again and again, and a small address is a short one.
 */
export const CONTROL = {
  /** i32: not 0 when the guest is to unwind at its next safepoint. */
  flag: 0,
  /** One byte for each 4 KiB page of the guest's memory (at most 4 GiB): 1 when it was written. */
  dirtyMap: 64,
  dirtyMapBytes: 0x100000,
  /** i32: what the agent asks of the guest thread. */
  request: 0x100080,
  /** i32: counts the reasons to look at the control memory again. */
  wake: 0x100084,
  /** i32: percentage of time that the guest is to be kept from running. */
  throttle: 0x100088,
  /** i32: end of the saved frames, an address in this memory. */
  framesEnd: 0x100100,
  /** i32: 1 since a frame was saved or the globals were; the host clears it before it resumes the guest. */
  saved: 0x100104,
  /** i32: where the next value of the frame is that is being taken or saved. */
  values: 0x100108,
  /** i32: the next bit of the mask. */
  maskBit: 0x10010c,
  /** Which values of its function the frame has that is being taken or saved: a bit for each. Engines allow 50 000 locals. */
  mask: 0x101000,
  /** One byte for each passive data segment and then each element segment: 1 once it was dropped. */
  dropped: 0x105000,
  droppedBytes: 61440,
  /** Saved frames, innermost first. */
  frames: 0x120000,
  /** Memory pages (64 KiB) at the start, and the most there can be. */
  initialPages: 0x120000 / 65536 + 16,
  maximumPages: 0x120000 / 65536 + 4096,
} as const;

/** Bytes behind the values of a frame: site, size of the whole frame, ordinal of its function, unused (all u32, little-endian). */
export const FRAME_TRAILER = 16;

/** Most bytes of all mutable globals together: they are saved behind the frames, and travel as one value. */
export const GLOBALS_LIMIT = 1024 * 1024;
