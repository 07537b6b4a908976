import { randomFillSync } from "node:crypto";
import type { HostRandom } from "@peregrine/machine-wasm";

/** Random bytes of this host. */
export class NodeRandom implements HostRandom {
  fill(bytes: Uint8Array): void {
    randomFillSync(bytes);
  }
}
