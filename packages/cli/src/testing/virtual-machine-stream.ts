import {
  ByteWriter,
  encodeCommand,
  encodeConfiguration,
  encodeEndMark,
  encodeFooter,
  encodeGlobalState,
  encodeHeader,
  encodeRamBlockList,
  encodeSectionContinuation,
  encodeSectionHeader,
  encodeVmDescriptionText,
  RAM_SECTION,
  RamPageEncoder,
} from "@peregrine/protocol";

export const VM_BLOCK = { name: "vm.ram", length: 1 << 20 };
const PAGE = 4096;
const RAM_ID = 1;

const DEVICES = [
  { name: "globalstate", payload: encodeGlobalState("running") },
  { name: "dev", payload: new Uint8Array([1, 2, 3, 4]) },
];
/** In a spelling of its own, so that one that was written anew shows. */
const DESCRIPTION = `{"page_size":4096, "devices": ${JSON.stringify(
  DEVICES.map(({ name, payload: { length: size } }) => ({
    name,
    instance_id: 0,
    size,
    fields: [{ name: "data", size, type: "buffer" }],
  })),
)} }`;

/** A stream as QEMU sends it of a virtual machine with {@link VM_BLOCK}: each odd page is its number, the others are zero. */
export function virtualMachineStream({ returnPath }: { readonly returnPath: boolean }): Uint8Array {
  const w = new ByteWriter();
  encodeHeader(w);
  encodeConfiguration(w, { machineType: "pc-test-1" });
  if (returnPath) {
    encodeCommand(w, { kind: "open-return-path" });
    encodeCommand(w, { kind: "ping", value: 1 });
  }
  const pages = new RamPageEncoder();
  const { name, instance, version } = RAM_SECTION;
  encodeSectionHeader(w, { kind: "start", id: RAM_ID, name, instance, version });
  encodeRamBlockList(w, [VM_BLOCK]);
  endSection(w, pages);
  encodeSectionContinuation(w, { kind: "end", id: RAM_ID });
  for (let page = 0; page < VM_BLOCK.length / PAGE; page++) putPage(w, pages, page);
  endSection(w, pages);
  for (const [index, device] of DEVICES.entries()) {
    const id = RAM_ID + 1 + index;
    encodeSectionHeader(w, { kind: "full", id, name: device.name, instance: 0, version: 1 });
    w.bytes(device.payload);
    encodeFooter(w, id);
  }
  encodeEndMark(w);
  encodeVmDescriptionText(w, DESCRIPTION);
  return new Uint8Array(w.view());
}

function putPage(w: ByteWriter, pages: RamPageEncoder, page: number): void {
  const target = new Uint8Array(PAGE + 300);
  const offset = page * PAGE;
  if (page % 2 === 0) {
    w.bytes(target.subarray(0, pages.putZeroPage(target, 0, VM_BLOCK.name, offset)));
    return;
  }
  const at = pages.putPageHeader(target, 0, VM_BLOCK.name, offset);
  w.bytes(target.fill(page, at, at + PAGE).subarray(0, at + PAGE));
}

function endSection(w: ByteWriter, pages: RamPageEncoder): void {
  pages.endOfSection(w);
  encodeFooter(w, RAM_ID);
}
