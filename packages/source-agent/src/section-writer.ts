import {
  ByteWriter,
  encodeCommand,
  encodeConfiguration,
  encodeEndMark,
  encodeFooter,
  encodeHeader,
  encodeSectionHeader,
  encodeVmDescription,
} from "@peregrine/protocol";
import type { Command, VmDeviceDescription } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { SavedDevice } from "@peregrine/shared-state";
import type { OutgoingStream } from "./outgoing-stream.ts";

/** Writes everything of the stream but the payloads of live sections. */
export class SectionWriter {
  readonly #stream: OutgoingStream;
  readonly #writer = new ByteWriter();
  readonly #described: VmDeviceDescription[] = [];
  #nextId = 0;

  constructor(stream: OutgoingStream) {
    this.#stream = stream;
  }

  /** The id of one more section. */
  takeId(): number {
    return this.#nextId++;
  }

  async header(machineType: string): Promise<void> {
    encodeHeader(this.#writer);
    encodeConfiguration(this.#writer, { machineType });
    await this.#append();
  }

  async command(command: Command): Promise<void> {
    encodeCommand(this.#writer, command);
    await this.#append();
  }

  /** Each device as a FULL section, in their order. */
  async devices(devices: readonly SavedDevice[]): Promise<void> {
    for (const { name, instance, version, payload, description } of devices) {
      const id = this.takeId();
      encodeSectionHeader(this.#writer, { kind: "full", id, name, instance, version });
      await this.#append();
      await this.#stream.append(payload);
      encodeFooter(this.#writer, id);
      await this.#append();
      this.#described.push(description);
    }
  }

  /** The end mark, and the vmdescription of every device that was written. */
  async end(): Promise<void> {
    encodeEndMark(this.#writer);
    encodeVmDescription(this.#writer, { page_size: PAGE_SIZE, devices: this.#described });
    await this.#append();
  }

  async #append(): Promise<void> {
    await this.#stream.append(this.#writer.view());
    this.#writer.reset();
  }
}
