import type { ByteReader } from "./byte-reader.ts";
import { MigrationError } from "./errors.ts";
import type { Limits } from "./limits.ts";
import type { Configuration } from "./messages.ts";
import type { PayloadDecoder } from "./payload-decoder.ts";
import { limitExceeded, unsupportedSectionVersion } from "./refusals.ts";
import { decodeUtf8 } from "./utf8.ts";
import {
  CONFIGURATION_SUBSECTION,
  CONFIGURATION_SUBSECTION_VERSION,
  SECTION_TYPE,
  UUID_BYTES,
} from "./wire.ts";

type Next =
  | { readonly item: "length" }
  | { readonly item: "machine-type"; readonly length: number }
  | { readonly item: "subsection-or-end" }
  | { readonly item: "subsection-header" }
  | { readonly item: "target-page-bits" }
  | { readonly item: "capability-count" }
  | { readonly item: "capabilities"; readonly count: number; readonly names: string[] }
  | { readonly item: "uuid" };

const AWAITING: Record<Next["item"], string> = {
  length: "the length of the machine type",
  "machine-type": "the machine type",
  "subsection-or-end": "a subsection of the configuration or a section",
  "subsection-header": "the name of a configuration subsection",
  "target-page-bits": "the target's page bits",
  "capability-count": "the number of capabilities",
  capabilities: "the name of a capability",
  uuid: "a uuid",
};

const AFTER_SUBSECTION: Next = { item: "subsection-or-end" };

/**
 * Reads the configuration section behind its type byte. It has no footer and no count of subsections:
 * it is complete when the next byte starts something else, so that byte must be there.
 */
export class ConfigurationDecoder implements PayloadDecoder {
  readonly #limits: Limits;
  readonly #seen = new Set<string>();
  #next: Next = { item: "length" };
  #configuration: Configuration = { machineType: "" };

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get awaiting(): string {
    return AWAITING[this.#next.item];
  }

  /** What was read; complete once {@link decode} has returned true. */
  get configuration(): Configuration {
    return this.#configuration;
  }

  decode(input: ByteReader): boolean {
    for (;;) {
      const next = this.#next;
      switch (next.item) {
        case "length":
          if (input.available < 4) return false;
          this.#next = { item: "machine-type", length: this.#machineTypeLength(input) };
          break;
        case "machine-type":
          if (input.available < next.length) return false;
          this.#add({ machineType: decodeUtf8(input.view(next.length), "the machine type") });
          break;
        case "subsection-or-end":
          if (input.available < 1) return false;
          if (input.peekU8() !== SECTION_TYPE.subsection) return true;
          input.u8();
          this.#next = { item: "subsection-header" };
          break;
        case "subsection-header":
          if (!input.hasCounted(4)) return false;
          this.#next = this.#subsectionBody(input);
          break;
        case "target-page-bits":
          if (input.available < 4) return false;
          this.#add({ targetPageBits: input.be32() });
          break;
        case "capability-count":
          if (input.available < 4) return false;
          this.#next = { item: "capabilities", count: this.#capabilityCount(input), names: [] };
          break;
        case "capabilities":
          if (next.names.length === next.count) {
            this.#add({ capabilities: next.names });
            break;
          }
          if (!input.hasCounted()) return false;
          next.names.push(input.counted("the name of a capability"));
          break;
        case "uuid":
          if (input.available < UUID_BYTES) return false;
          this.#add({ uuid: new Uint8Array(input.view(UUID_BYTES)) });
          break;
      }
    }
  }

  #add(part: Partial<Configuration>): void {
    this.#configuration = { ...this.#configuration, ...part };
    this.#next = AFTER_SUBSECTION;
  }

  /** Reads name and version; what follows depends on the name. */
  #subsectionBody(input: ByteReader): Next {
    const { offset } = input;
    const name = input.counted("the name of a configuration subsection");
    const version = input.be32();
    if (this.#seen.has(name)) {
      throw new MigrationError("BAD_SECTION", `The configuration subsection '${name}' came twice`, {
        offset,
      });
    }
    this.#seen.add(name);
    const body = bodyOf(name);
    if (body === undefined) {
      throw new MigrationError("BAD_SECTION", `Unknown configuration subsection '${name}'`, { offset });
    }
    if (version > CONFIGURATION_SUBSECTION_VERSION) {
      throw unsupportedSectionVersion(name, version, CONFIGURATION_SUBSECTION_VERSION, { offset });
    }
    return body;
  }

  #machineTypeLength(input: ByteReader): number {
    const { offset } = input;
    const length = input.be32();
    if (length > this.#limits.maxMachineTypeBytes) {
      throw limitExceeded("bytes of machine type", length, this.#limits.maxMachineTypeBytes, { offset });
    }
    return length;
  }

  #capabilityCount(input: ByteReader): number {
    const { offset } = input;
    const count = input.be32();
    if (count > this.#limits.maxCapabilities) {
      throw limitExceeded("capabilities", count, this.#limits.maxCapabilities, { offset });
    }
    return count;
  }
}

function bodyOf(name: string): Next | undefined {
  switch (name) {
    case CONFIGURATION_SUBSECTION.targetPageBits:
      return { item: "target-page-bits" };
    case CONFIGURATION_SUBSECTION.capabilities:
      return { item: "capability-count" };
    case CONFIGURATION_SUBSECTION.uuid:
      return { item: "uuid" };
    default:
      return undefined;
  }
}
