import type { ConfigurationDecoder } from "./configuration-decoder.ts";
import type { CutBy, DeviceTail } from "./device-tail.ts";
import type { Limits } from "./limits.ts";
import type { SectionHeader, SectionKind } from "./messages.ts";
import type { OpaqueDevice, PayloadDecoder } from "./payload-decoder.ts";
import { limitExceeded, unexpectedData } from "./refusals.ts";
import { COMMAND_CODE } from "./wire.ts";

/** A section that was opened, and what reads its payload. */
export interface OpenSection {
  readonly header: SectionHeader;
  readonly decoder: PayloadDecoder;
}

/** A device section whose payload goes to the handler whole. */
export interface OpaqueSection {
  readonly header: SectionHeader;
  readonly device: OpaqueDevice;
}

/** Whether sections end with footers; the first section of a stream decides. */
export type FooterUse = "undecided" | "present" | "absent";

/** The item that comes next in a stream, with what is known of it. */
export type StreamState =
  | { readonly item: "magic" | "version" | "configuration-or-type" | "type" }
  | { readonly item: "command-head"; readonly behind: BehindCommand }
  | { readonly item: "configuration"; readonly decoder: ConfigurationDecoder }
  | { readonly item: "section-id"; readonly kind: SectionKind }
  | { readonly item: "section-name"; readonly kind: "start" | "full"; readonly id: number }
  | { readonly item: "opening"; readonly header: SectionHeader }
  | { readonly item: "payload"; readonly section: OpenSection }
  | { readonly item: "measuring"; readonly section: OpaqueSection; readonly tail: DeviceTail }
  | {
      readonly item: "opaque-payload";
      readonly section: OpaqueSection;
      readonly length: number;
      readonly by: CutBy;
    }
  | { readonly item: "undivided"; readonly section: OpaqueSection; readonly length: number }
  | { readonly item: "footer"; readonly section: { readonly header: SectionHeader } }
  | {
      readonly item: "command-payload";
      readonly code: number;
      readonly length: number;
      readonly behind: BehindCommand;
    }
  | { readonly item: "after-end" | "description-length" }
  | { readonly item: "description"; readonly length: number }
  | { readonly item: "done" };

/** A command stands between sections, or where a complete stream may be followed by what becomes of the guest. */
export type BehindCommand = { readonly item: "type" } | { readonly item: "done" };

export const BETWEEN_SECTIONS: BehindCommand = { item: "type" };
export const COMPLETE: BehindCommand = { item: "done" };

/** Commands that may follow a complete stream. */
const LAST_COMMANDS: ReadonlySet<number> = new Set([COMMAND_CODE.handOver, COMMAND_CODE.alive]);

/** Behind the head of a command. Errors: LIMIT_EXCEEDED; UNEXPECTED_DATA for one that comes too late. */
export function commandPayload(
  code: number,
  length: number,
  { behind, limits }: { readonly behind: BehindCommand; readonly limits: Limits },
): StreamState {
  if (behind.item === "done" && !LAST_COMMANDS.has(code)) throw unexpectedData("the vmdescription");
  const limit = limits.maxCommandBytes;
  if (length > limit) throw limitExceeded(`bytes of payload of command ${code}`, length, limit);
  return { item: "command-payload", code, length, behind };
}

/** Behind the length of the vmdescription. Errors: LIMIT_EXCEEDED. */
export function descriptionText(length: number, limits: Limits): StreamState {
  const limit = limits.maxVmDescriptionBytes;
  if (length > limit) throw limitExceeded("bytes of vmdescription", length, limit);
  return { item: "description", length };
}

const AWAITING: Record<StreamState["item"], string> = {
  magic: "the magic of a migration stream",
  version: "the stream's version",
  "configuration-or-type": "the configuration section",
  configuration: "the configuration section",
  type: "a section type",
  "command-head": "a command",
  "command-payload": "the payload of a command",
  "section-id": "a section id",
  "section-name": "the name and version of a section",
  opening: "the payload of the section",
  payload: "the payload of the section",
  measuring: "the vmdescription or the section footer",
  "opaque-payload": "the payload of the section",
  undivided: "the end mark",
  footer: "the section footer",
  "after-end": "nothing",
  "description-length": "the length of the vmdescription",
  description: "the vmdescription",
  done: "nothing",
};

/** What the decoder waits for, in words. */
export function awaitedBy(state: StreamState): string {
  switch (state.item) {
    case "payload":
      return state.section.decoder.awaiting ?? AWAITING.payload;
    case "configuration":
      return state.decoder.awaiting;
    default:
      return AWAITING[state.item];
  }
}

/** The name of the section that the decoder is in, if it is in one. */
export function sectionOf(state: StreamState): string | undefined {
  switch (state.item) {
    case "configuration-or-type":
    case "configuration":
      return "configuration";
    case "opening":
      return state.header.name;
    case "payload":
    case "measuring":
    case "opaque-payload":
    case "undivided":
    case "footer":
      return state.section.header.name;
    case "description-length":
    case "description":
      return "vmdescription";
    default:
      return undefined;
  }
}
