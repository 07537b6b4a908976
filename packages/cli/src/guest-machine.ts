import type { ImageSummary } from "@peregrine/machine-image";
import type { Machine } from "@peregrine/shared-state";

/** A machine that can tell what it runs. */
export interface GuestMachine extends Machine {
  /** Undefined while nothing has arrived. */
  readonly program: string | undefined;
  /** Bytes of guest memory in use. */
  readonly memoryBytes: number;
  /** Of an image. Undefined while nothing of it has arrived. */
  readonly summary?: ImageSummary | undefined;
}
