import { DEFAULT_LIMITS, RamDecoder, StreamDecoder } from "../src/index.ts";
import type {
  Command,
  CutBy,
  OpaqueDevice,
  PayloadDecoder,
  SectionHeader,
  StreamDecoderOptions,
  StreamHandler,
} from "../src/index.ts";
import { toHex } from "./support.ts";

/** Writes down what happens to devices that it does not know. Knows `ram`. */
export class DeviceRecorder implements StreamHandler {
  readonly log: string[] = [];
  readonly by: CutBy[] = [];
  readonly #keepUndivided: boolean;

  constructor(keepUndivided = false) {
    this.#keepUndivided = keepUndivided;
  }

  configuration(): void {}

  open({ kind, name }: SectionHeader): PayloadDecoder | OpaqueDevice {
    if (kind === "start") {
      const sink = { blockList: () => {}, zeroPage: () => {}, page: () => {} };
      return new RamDecoder({ limits: DEFAULT_LIMITS, sink });
    }
    const device: OpaqueDevice = {
      payload: (payload, by) => {
        this.log.push(`${name} ${toHex(payload)}`);
        this.by.push(by);
      },
    };
    if (!this.#keepUndivided) return device;
    return { ...device, undivided: (bytes) => this.log.push(`undivided ${toHex(bytes)}`) };
  }

  close({ kind, name }: SectionHeader): void {
    if (kind !== "full") this.log.push(`${kind} ${name}`);
  }

  command(command: Command): void {
    this.log.push(command.kind);
  }

  packageEnd(): void {
    this.log.push("package end");
  }

  endMark(): void {
    this.log.push("end mark");
  }

  vmDescription(): void {
    this.log.push("vmdescription");
  }
}

/** Decodes a whole stream given in chunks; each is overwritten once the decoder has let go of it. */
export function decodeDevices(
  chunks: readonly Uint8Array[],
  recorder = new DeviceRecorder(),
  options: Partial<StreamDecoderOptions> = {},
): DeviceRecorder {
  const decoder = new StreamDecoder({
    limits: DEFAULT_LIMITS,
    footers: "detected",
    ...options,
    handler: recorder,
  });
  for (const chunk of chunks) {
    decoder.push(chunk);
    chunk.fill(0xee);
  }
  decoder.end();
  return recorder;
}
