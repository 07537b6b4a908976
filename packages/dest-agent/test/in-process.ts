import { DEFAULT_LIMITS, MigrationError, ReturnPathDecoder } from "@peregrine/protocol";
import type { ReturnMessage } from "@peregrine/protocol";
import { openRam } from "@peregrine/shared-state/testing";
import { ChunkReader } from "../src/chunk-reader.ts";
import { IncomingStatistics } from "../src/incoming-statistics.ts";
import { Interruption } from "../src/interruption.ts";
import { loadStream } from "../src/load-stream.ts";
import type { LoadTarget } from "../src/load-target.ts";
import { ReturnPath } from "../src/return-path.ts";
import { destination } from "./machines.ts";
import type { Guest } from "./machines.ts";

export interface Feeding {
  readonly chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  readonly guest?: Guest;
  /** What the loader does with the machine, where it is not what a machine does by itself. */
  readonly target?: Partial<LoadTarget>;
  readonly write?: (bytes: Uint8Array) => Promise<void>;
  readonly interruption?: Interruption;
}

export interface Fed {
  /** Why the load failed. */
  readonly error: MigrationError | undefined;
  readonly sent: readonly ReturnMessage[];
  /** Whether the loader asked for leave to tell the source that everything is loaded. */
  readonly committed: boolean;
  /** Names of the devices that were loaded. */
  readonly loaded: readonly string[];
  readonly guest: Guest;
  readonly statistics: IncomingStatistics;
}

/** Loads a stream without a socket and without a thread. The stream ends where `chunks` ends. */
export async function feed(options: Feeding): Promise<Fed> {
  const guest = options.guest ?? destination();
  const { machine } = guest;
  const interruption = options.interruption ?? new Interruption();
  const statistics = new IncomingStatistics();
  const sent: ReturnMessage[] = [];
  const loaded: string[] = [];
  let committed = false;
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
  const target: LoadTarget = {
    loadDevice: async (name, instance, value) => {
      await machine.devices.load(name, instance, value);
      loaded.push(name);
    },
    openRam: async () => openRam(machine.ram().data),
    prepared: () => machine.prepared(),
    commit: async () => {
      committed = true;
    },
    ...options.target,
  };
  let error: MigrationError | undefined;
  try {
    await loadStream({
      machineType: machine.type,
      devices: structuredClone(machine.devices.descriptions()),
      limits: DEFAULT_LIMITS,
      target,
      returnPath: new ReturnPath(write, interruption),
      statistics,
      interruption,
      chunks: new ChunkReader(generate(options.chunks)),
      descriptionWait: 5,
    });
  } catch (cause) {
    if (!MigrationError.is(cause)) throw cause;
    error = cause;
  }
  return { error, sent, committed, loaded, guest, statistics };
}

async function* generate(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  // A copy, because a chunk belongs to whoever reads it.
  for await (const chunk of chunks) yield chunk.slice();
}

/** A stream that the peer keeps open. */
export async function* keptOpen(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, void> {
  yield* chunks;
  await new Promise(() => {});
}
