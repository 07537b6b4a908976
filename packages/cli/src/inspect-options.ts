/** A stream to read. */
export interface StreamSource {
  /** The main stream and its multifd channels; `-` is the standard input. */
  readonly paths: readonly string[];
  /** Bytes of guest memory; a stream with more is refused. */
  readonly maxRam: number;
}

/** What `peregrine inspect` is to do. */
export interface InspectOptions extends StreamSource {
  readonly json: boolean;
  readonly task: InspectTask;
}

export type InspectTask =
  | { readonly kind: "report" }
  | { readonly kind: "verify" }
  /** `NAME` or `NAME/INSTANCE`. */
  | { readonly kind: "device"; readonly device: string }
  /** The files of the other migration. */
  | { readonly kind: "diff"; readonly paths: readonly string[] }
  | RamTask;

export interface RamTask {
  readonly kind: "ram";
  readonly block: string;
  readonly output: string;
  /** Replaces a file that is there. */
  readonly force: boolean;
  /** Keeps what could be read of a stream with a fault. */
  readonly salvage: boolean;
}
