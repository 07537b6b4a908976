/**
 * The most that a peer may make a decoder hold or count. Every decoder takes them; none has a default.
 * What is larger is refused with LIMIT_EXCEEDED before anything is allocated for it.
 */
export interface Limits {
  /** Bytes of the machine type in the configuration section. */
  readonly maxMachineTypeBytes: number;
  /** Names in the configuration section's list of capabilities. */
  readonly maxCapabilities: number;
  /** Sections opened by START and not yet closed by END. */
  readonly maxOpenSections: number;
  /** Bytes that a payload decoder may leave unread while it waits for more. */
  readonly maxItemBytes: number;
  /** Bytes of a command's payload. The wire allows 65535. */
  readonly maxCommandBytes: number;
  /** Bytes of the sections that one PACKAGED command embeds. */
  readonly maxPackageBytes: number;
  /** Bytes of device sections held until something tells their lengths. */
  readonly maxDeviceTailBytes: number;
  /** Bytes of all device sections of a machine that is known. */
  readonly maxDeviceBytes: number;
  /** Bytes of the JSON after the end mark. */
  readonly maxVmDescriptionBytes: number;
  /** Entries in the list of RAM blocks. */
  readonly maxRamBlocks: number;
  /** Bytes of all RAM blocks together. */
  readonly maxRamBytes: number;
  /** Bytes of a return message's payload. */
  readonly maxReturnMessageBytes: number;
  /** Bytes of the bitmap behind a RECV_BITMAP message. */
  readonly maxReceivedBitmapBytes: number;
}

/** Limits that fit every machine seen so far. Callers pass them explicitly. */
export const DEFAULT_LIMITS: Limits = {
  maxMachineTypeBytes: 255,
  maxCapabilities: 64,
  maxOpenSections: 256,
  maxItemBytes: 64 * 1024 * 1024,
  maxCommandBytes: 65_535,
  maxPackageBytes: 64 * 1024 * 1024,
  maxDeviceTailBytes: 128 * 1024 * 1024,
  maxDeviceBytes: 640 * 1024 * 1024,
  maxVmDescriptionBytes: 16 * 1024 * 1024,
  maxRamBlocks: 1024,
  maxRamBytes: 16 * 1024 ** 4,
  maxReturnMessageBytes: 512,
  maxReceivedBitmapBytes: 64 * 1024 * 1024,
};
