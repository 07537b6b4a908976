import { MigrationError } from "@peregrine/protocol";
import type { Device } from "../device-registry.ts";
import { PAGE_SIZE } from "../machine.ts";
import { defineState } from "../state-description.ts";
import type { StateOf } from "../state-description.ts";
import type { TestGuest } from "./test-guest.ts";

const MAX_BLOCKS = 16;
/** Pages of all blocks together: 1 GiB. */
const MAX_PAGES = 262_144;

/** A block of the test guest's memory. */
export interface TestBlock {
  readonly name: string;
  /** Pages that it can ever have. */
  readonly pages: number;
  /** Pages in use from the beginning, filled with a pattern. */
  readonly used: number;
}

/** What a destination has to know before any page comes. */
export interface TestLayout {
  readonly hotPages: number;
  readonly blocks: readonly TestBlock[];
}

const layoutDescription = defineState({
  name: "test-layout",
  version: 1,
  fields: [
    { name: "hot-pages", type: "uint32" },
    { name: "block-count", type: "uint8" },
    {
      name: "blocks",
      type: "array",
      count: { from: "block-count", max: MAX_BLOCKS },
      of: {
        name: "test-block",
        version: 1,
        fields: [
          { name: "name-length", type: "uint8" },
          { name: "name", type: "buffer", length: { from: "name-length", max: 255 } },
          { name: "pages", type: "uint32" },
          { name: "used", type: "uint32" },
        ],
      },
    },
  ],
});

type LayoutState = StateOf<typeof layoutDescription>;

/** The early device: how the memory is laid out. `arrived` is told what a source sent. */
export function layoutDevice(layout: () => TestLayout, arrived: (layout: TestLayout) => void): Device {
  return {
    description: layoutDescription,
    instance: 0,
    early: true,
    save(): LayoutState {
      const { hotPages, blocks } = layout();
      return {
        "hot-pages": hotPages,
        "block-count": blocks.length,
        blocks: blocks.map(({ name, pages, used }) => {
          const bytes = new TextEncoder().encode(name);
          return { "name-length": bytes.length, name: bytes, pages, used };
        }),
      };
    },
    load(state: LayoutState): void {
      const hotPages = state["hot-pages"];
      const blocks = state.blocks.map(({ name, pages, used }) => ({
        name: new TextDecoder().decode(name),
        pages,
        used,
      }));
      const total = blocks.reduce((sum, block) => sum + block.pages, 0);
      const used = blocks.every((block) => block.used <= block.pages);
      if (total > MAX_PAGES || !used || hotPages < 1 || hotPages > (blocks[0]?.used ?? 0)) {
        throw new MigrationError("DEVICE_STATE", "the layout of the guest's memory is impossible");
      }
      arrived({ hotPages, blocks });
    },
  };
}

const guestDescription = defineState({
  name: "test-guest",
  version: 1,
  fields: [
    { name: "sweeps", type: "uint64" },
    { name: "position", type: "uint32" },
    { name: "dirty-rate", type: "uint64" },
    { name: "block-count", type: "uint8" },
    { name: "used-pages", type: "array", of: "uint32", count: { from: "block-count", max: MAX_BLOCKS } },
  ],
});

type GuestState = StateOf<typeof guestDescription>;

/** What the guest device reads and changes. */
export interface TestGuestHolder {
  readonly guest: TestGuest;
  dirtyRate: number;
}

/** The late device: where the guest's program is. */
export function guestDevice(holder: TestGuestHolder): Device {
  return {
    description: guestDescription,
    instance: 0,
    early: false,
    save(): GuestState {
      const { guest, dirtyRate } = holder;
      return {
        sweeps: guest.sweeps,
        position: guest.position,
        "dirty-rate": BigInt(dirtyRate),
        "block-count": guest.ram.blocks.length,
        "used-pages": guest.ram.blocks.map((_, block) => guest.ram.usedPages(block)),
      };
    },
    load(state: GuestState): void {
      const { guest } = holder;
      const used = state["used-pages"];
      const fits = used.every((pages, block) => pages * PAGE_SIZE <= (guest.ram.blocks[block]?.length ?? 0));
      if (state.position >= guest.hotPages || used.length !== guest.ram.blocks.length || !fits) {
        throw new MigrationError("DEVICE_STATE", "the guest's position or memory size is impossible");
      }
      guest.sweeps = state.sweeps;
      guest.position = state.position;
      holder.dirtyRate = Number(state["dirty-rate"]);
      for (const [block, pages] of used.entries()) guest.ram.use(block, pages);
    },
  };
}
