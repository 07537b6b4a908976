/** The JSON after the end mark: the layout of every device section, for tools. A receiver can do without it. */
export interface VmDescription {
  readonly configuration?: VmStateDescription;
  /** Bytes of a target page. */
  readonly page_size: number;
  readonly devices: readonly VmDeviceDescription[];
}

/** A state description: a named, versioned list of fields. */
export interface VmStateDescription {
  readonly vmsd_name: string;
  readonly version: number;
  readonly fields: readonly VmFieldDescription[];
  readonly subsections?: readonly VmStateDescription[];
}

/** A device section, described field by field or as one opaque buffer. */
export type VmDeviceDescription =
  | (VmStateDescription & { readonly name: string; readonly instance_id: number })
  | {
      readonly name: string;
      readonly instance_id: number;
      /** Bytes of the section's payload. */
      readonly size: number;
      readonly fields: readonly VmFieldDescription[];
    };

/** A field of a device, as the vmdescription has it. */
export interface VmFieldDescription {
  readonly name: string;
  /** For example `bool`, `int8`..`uint64`, `buffer`, `bitmap`, `timer`, `struct`. */
  readonly type: string;
  /** Bytes of the field; of one element when `array_len` is given. */
  readonly size: number;
  /** Number of identical elements that follow each other. */
  readonly array_len?: number;
  /** Index of an element that is listed singly. */
  readonly index?: number;
  /** The layout when `type` is `struct` or `vstruct`. */
  readonly struct?: VmStateDescription;
}
