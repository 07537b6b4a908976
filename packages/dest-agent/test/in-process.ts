import { ImageMachine } from "@peregrine/machine-image";
import { ALL_EXTENSIONS, DEFAULT_LIMITS, MigrationError, ReturnPathDecoder } from "@peregrine/protocol";
import type { Limits, PageKernel, ReturnMessage } from "@peregrine/protocol";
import type { BuildRam, RamAccess } from "@peregrine/shared-state";
import type { Channel } from "@peregrine/transport";
import { openIncomingDrives, openRam } from "@peregrine/shared-state/testing";
import { CarriedLoader } from "../src/carried-loader.ts";
import { ChunkReader } from "../src/chunk-reader.ts";
import { DescribedLoader } from "../src/described-loader.ts";
import { ExpectedPages } from "../src/expected-pages.ts";
import { IncomingStatistics } from "../src/incoming-statistics.ts";
import { Interruption } from "../src/interruption.ts";
import { loadStream } from "../src/load-stream.ts";
import type { Patience } from "../src/load-stream.ts";
import type { CarriedTarget, DescribedTarget, DeviceState, LoadTarget } from "../src/load-target.ts";
import type { MachineLoader } from "../src/machine-loader.ts";
import { MultifdReceiver } from "../src/multifd-receiver.ts";
import { ReturnPath } from "../src/return-path.ts";
import type { ArrivingBytes } from "./arriving-bytes.ts";
import { destination } from "./machines.ts";
import type { Guest } from "./machines.ts";

export interface Feeding {
  readonly chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** They come from there, and can be read to where they belong. */
  readonly arriving?: { readonly bytes: ArrivingBytes; readonly kernel: PageKernel };
  /** Gives the chunks behind the first one, which `chunks` has. Default: all of them are in `chunks`. */
  readonly passing?: Pick<Channel, "pass">;
  /** What the loader does with the machine, where it is not what a machine does by itself. */
  readonly target?: Partial<LoadTarget & DescribedTarget & CarriedTarget>;
  readonly write?: (bytes: Uint8Array) => Promise<void>;
  readonly failure?: () => MigrationError | undefined;
  readonly interruption?: Interruption;
  readonly patience?: Patience;
  /** Milliseconds of silence after which a source counts as dead that has promised to speak up. Default: it never does. */
  readonly silence?: number;
  readonly limits?: Limits;
  /** The stream comes from a file, from this byte on. Nobody is there to be answered then. */
  readonly fileOffset?: number;
  /** Channels beside the stream, each in chunks. */
  readonly multifd?: readonly (AsyncIterable<Uint8Array> | Iterable<Uint8Array>)[];
  /** How many channels are expected. Default: as many as there are. */
  readonly multifdChannels?: number;
  /** Milliseconds that the channels have to come. Default: as a source has. */
  readonly channelsWait?: number;
  /** What other threads open an image's memory with. Default: as it is made. */
  readonly access?: (access: RamAccess) => RamAccess;
  readonly switchoverAck?: boolean;
  /** Whether each chunk has to be asked for, as of a file. Default: they are given as they come, as by a socket. */
  readonly askedFor?: boolean;
}

export interface Loading {
  /** Why the load failed. */
  readonly error: MigrationError | undefined;
  readonly sent: readonly ReturnMessage[];
  /** Whether the loader was given leave to tell the source that everything is loaded. */
  readonly committed: boolean;
  /** Why nobody knows who has the guest. */
  readonly undecided: MigrationError | undefined;
  readonly statistics: IncomingStatistics;
}

export interface Fed extends Loading {
  /** Names of the devices that were loaded. */
  readonly loaded: readonly string[];
  readonly guest: Guest;
}

/** Loads a stream of the test machine without a socket and without a thread. It ends where `chunks` ends. */
export async function feed(options: Feeding & { readonly guest?: Guest }): Promise<Fed> {
  const guest = options.guest ?? destination();
  const { machine } = guest;
  const loaded: string[] = [];
  const loadAfter = async (before: Promise<void>, devices: readonly DeviceState[]): Promise<void> => {
    await before;
    for (const { name, instance, value } of devices) {
      await machine.devices.load(name, instance, value);
      loaded.push(name);
    }
  };
  let last = Promise.resolve();
  const target: DescribedTarget & Pick<LoadTarget, "commit"> = {
    loadDevices: (devices) => {
      last = loadAfter(last, devices);
      return last;
    },
    commit: async () => {
      await last;
      return undefined;
    },
    openRam: async () => {
      const access = machine.ram();
      return { ram: openRam(access.data), access };
    },
    openDrives: async () => openIncomingDrives(machine.drives!.incoming().data),
    drivesProgress: () => {},
    prepared: () => machine.prepared(),
    ...options.target,
  };
  const devices = structuredClone(machine.devices.descriptions());
  const loading = await load({ ...options, target }, (statistics, interruption) => {
    const machineType = machine.type;
    const hasDrives = machine.drives !== undefined;
    const limits = options.limits ?? DEFAULT_LIMITS;
    return new DescribedLoader({ machineType, devices, hasDrives, limits, target, statistics, interruption });
  });
  return { ...loading, loaded, guest };
}

/** Loads a stream of any machine in the same way. */
export async function feedImage(
  options: Feeding & { readonly image?: ImageMachine },
): Promise<Loading & { readonly image: ImageMachine }> {
  const image = options.image ?? new ImageMachine();
  const { module, data } = image.intake.memory;
  const { buildRam } = (await import(module)) as { readonly buildRam: BuildRam };
  let plainAccess: (() => RamAccess) | undefined;
  const target: CarriedTarget = {
    opened: async (opening, ram) => {
      image.intake.opened(opening, plainAccess?.() ?? ram);
    },
    closed: async (closing) => {
      image.intake.closed(closing);
    },
    ...options.target,
  };
  const limits = options.limits ?? DEFAULT_LIMITS;
  const loading = await load(options, (_, interruption) => {
    const builder = buildRam(data);
    const access = builder.access.bind(builder);
    plainAccess = access;
    builder.access = () => options.access?.(access()) ?? access();
    return new CarriedLoader({ builder, limits, target, interruption });
  });
  return { ...loading, image };
}

async function load(
  options: Feeding,
  open: (statistics: IncomingStatistics, interruption: Interruption) => MachineLoader,
): Promise<Loading> {
  const interruption = options.interruption ?? new Interruption();
  const statistics = new IncomingStatistics();
  const sent: ReturnMessage[] = [];
  let committed = false;
  let error: MigrationError | undefined;
  let undecided: MigrationError | undefined;
  const decoder = new ReturnPathDecoder({
    limits: DEFAULT_LIMITS,
    message: (message) => {
      sent.push(message);
    },
  });
  const write = async (bytes: Uint8Array): Promise<void> => {
    await options.write?.(bytes);
    decoder.push(bytes);
  };
  const channels = options.multifd?.map(generate) ?? [];
  const { channelsWait } = options;
  const expected = options.multifdChannels ?? channels.length;
  const multifd =
    expected === 0
      ? undefined
      : new MultifdReceiver({
          channels: expected,
          statistics,
          interruption,
          ...(channelsWait === undefined ? {} : { channelsWait }),
        });
  for (const channel of channels) multifd?.add({ chunks: channel });
  const { fileOffset } = options;
  const { arriving } = options;
  const chunks = arriving === undefined ? generate(options.chunks) : arriving.bytes.chunks();
  const passing = options.passing ??
    arriving?.bytes ?? { pass: (take: (bytes: Uint8Array) => boolean) => pass(chunks, take) };
  try {
    const outcome = await loadStream({
      machine: open(statistics, interruption),
      limits: options.limits ?? DEFAULT_LIMITS,
      target: {
        accept: async (migration) => {
          await options.target?.accept?.(migration);
        },
        commit: async (returnPath) => {
          await options.target?.commit?.(returnPath);
          committed = true;
          return undefined;
        },
      },
      returnPath: new ReturnPath(
        fileOffset === undefined ? { kind: "sent", write } : { kind: "dropped" },
        interruption,
        ALL_EXTENSIONS,
      ),
      statistics,
      interruption,
      multifd,
      switchoverAck: () => options.switchoverAck === true,
      fileOffset,
      chunks: new ChunkReader(chunks, options.askedFor === true ? {} : passing),
      kernel: arriving?.kernel,
      expected: arriving === undefined ? undefined : new ExpectedPages(arriving.kernel, arriving.bytes),
      patience: options.patience ?? { description: 5 },
      silence: options.silence ?? 0,
      ...(options.failure === undefined ? {} : { failure: options.failure }),
    });
    if (outcome.kind === "undecided") undecided = outcome.error;
  } catch (cause) {
    if (!MigrationError.is(cause)) throw cause;
    error = cause;
  } finally {
    await multifd?.close();
  }
  return { error, sent, committed, undecided, statistics };
}

async function* generate(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  // A copy, because a chunk belongs to whoever reads it.
  for await (const chunk of chunks) yield new Uint8Array(chunk);
}

/** As a channel does, which uses the memory of a chunk again that was taken. */
async function pass(
  chunks: AsyncGenerator<Uint8Array, void, void>,
  take: (bytes: Uint8Array) => boolean,
): Promise<void> {
  for (;;) {
    const { value } = await chunks.next();
    if (value === undefined || !take(value)) return;
    value.fill(0xee);
  }
}

/** A stream that the peer keeps open. */
export async function* keptOpen(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, void> {
  yield* chunks;
  await new Promise(() => {});
}
