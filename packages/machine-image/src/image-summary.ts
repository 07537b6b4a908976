import { decodeGlobalState, GLOBAL_STATE_SECTION } from "@peregrine/protocol";
import type { CarriedClosing, CarriedOpening, RamBlock } from "@peregrine/shared-state";
import type { ImageRam } from "./image-ram.ts";

/** What can be told of an image without understanding its devices. */
export interface ImageSummary {
  readonly blocks: readonly RamBlock[];
  /** Pages that were ever written or filled. The others are zero. */
  readonly pagesWithContents: number;
  /** Whether the stream has a configuration section and footers, which tell how old the machine type is. */
  readonly configuration: boolean;
  readonly footers: boolean;
  /** The rest; undefined until everything has arrived. */
  readonly arrived: ImageArrival | undefined;
}

interface ImageArrival {
  /** Device sections; undefined when nothing in the stream tells them apart. */
  readonly devices: number | undefined;
  readonly vmDescription: boolean;
  /** What the virtual machine did at its source, for example `running`; undefined when the stream does not say. */
  readonly runState: string | undefined;
}

/** What has come with the end of the stream. */
export interface Arrived {
  readonly closing: CarriedClosing;
  readonly runState: string | undefined;
}

export function summarize(
  { configuration, footers, early }: CarriedOpening,
  ram: ImageRam,
  arrived: Arrived | undefined,
): ImageSummary {
  return {
    blocks: ram.blocks,
    pagesWithContents: ram.pagesWithContents,
    configuration: configuration !== undefined,
    footers,
    arrived: arrived && arrivalOf(early.length, arrived),
  };
}

function arrivalOf(early: number, { closing, runState }: Arrived): ImageArrival {
  const { late, ending } = closing;
  return {
    devices: ending.kind === "undivided" ? undefined : early + late.length,
    vmDescription: ending.kind === "described",
    runState,
  };
}

/** The run state that travels with the devices. Errors: BAD_SECTION. */
export function runStateOf({ late, ending }: CarriedClosing): string | undefined {
  if (ending.kind === "undivided") return undefined;
  const { name, instance } = GLOBAL_STATE_SECTION;
  const section = late.find((one) => one.name === name && one.instance === instance);
  return section && decodeGlobalState(section.payload);
}
