import { PAGE_SIZE } from "@peregrine/shared-state";
import { workerData } from "node:worker_threads";
import { openRam } from "../src/wasm-ram.ts";

const { data, go } = workerData as { readonly data: unknown; readonly go: Int32Array };
const ram = openRam(data);
const page = new Uint8Array(PAGE_SIZE).fill(7);
Atomics.add(go, 0, 1);
while (Atomics.load(go, 0) >= 0);
ram.writePages(0, 65_536, page);
