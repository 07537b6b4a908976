import { ImageMachine } from "@peregrine/machine-image";
import { MigrationError } from "@peregrine/protocol";
import { RunControl } from "@peregrine/shared-state";
import type { MachineDrives } from "@peregrine/shared-state";
import type { Address } from "@peregrine/transport";
import { expect } from "vitest";
import { IncomingMigration } from "../src/index.ts";
import type { IncomingMigrationOptions, ListenOptions } from "../src/index.ts";
import { destination } from "./machines.ts";
import type { Guest } from "./machines.ts";
import { Sender } from "./sender.ts";

export const TCP = "tcp:127.0.0.1:0";

/** A destination that listens. */
export interface Listening {
  readonly incoming: IncomingMigration;
  readonly address: Address;
  readonly connect: () => Promise<Sender>;
}

export interface Arrival extends Listening {
  readonly guest: Guest;
}

/** A destination that takes in any machine. */
export interface ImageArrival extends Listening {
  readonly image: ImageMachine;
  readonly run: RunControl;
}

/** Default of `uri`: {@link TCP}. */
export type ArrivalOptions = Partial<IncomingMigrationOptions & ListenOptions>;

export interface Preparation extends ArrivalOptions {
  readonly drives?: MachineDrives;
  /** Changes the machine before anything happens. */
  readonly prepare?: (guest: Guest) => void;
}

const opened: { readonly incoming: IncomingMigration; readonly senders: Sender[] }[] = [];

/** Ends everything that {@link listening} has started. */
export async function closeAll(): Promise<void> {
  for (const { incoming, senders } of opened.splice(0)) {
    for (const sender of senders) sender.channel.destroy();
    await incoming.close();
  }
}

/** A destination that was not told yet where to listen. */
export function deferred(): { readonly guest: Guest; readonly incoming: IncomingMigration } {
  const guest = destination();
  const incoming = new IncomingMigration({ machine: guest.machine, runControl: guest.run });
  opened.push({ incoming, senders: [] });
  return { guest, incoming };
}

export async function listening({ prepare, drives, ...options }: Preparation = {}): Promise<Arrival> {
  const guest = destination(drives === undefined ? {} : { drives });
  prepare?.(guest);
  return {
    guest,
    ...(await listen({ machine: guest.machine, runControl: guest.run, ...options })),
  };
}

export async function imageListening(options: ArrivalOptions = {}): Promise<ImageArrival> {
  const image = new ImageMachine();
  const run = new RunControl(image, { initial: "inmigrate", autostart: false });
  return { image, run, ...(await listen({ machine: image, runControl: run, ...options })) };
}

async function listen({
  uri = TCP,
  multifdChannels = 0,
  ...options
}: IncomingMigrationOptions & Partial<ListenOptions>): Promise<Listening> {
  const incoming = new IncomingMigration(options);
  const senders: Sender[] = [];
  opened.push({ incoming, senders });
  const address = await incoming.listen({ uri, multifdChannels });
  const connect = async (): Promise<Sender> => {
    const sender = await Sender.connect(address);
    senders.push(sender);
    return sender;
  };
  return { incoming, address, connect };
}

export async function refusal(promise: Promise<unknown>): Promise<MigrationError> {
  return promise.then(
    () => expect.fail("it was not refused"),
    (error: unknown) => {
      if (!MigrationError.is(error)) throw error;
      return error;
    },
  );
}

/** The load has failed, and nothing of it is left. */
export async function expectFailed({ incoming, guest }: Arrival, code: string, text: string): Promise<void> {
  const result = await incoming.done;
  if (result.kind !== "failed") expect.fail("it was loaded");
  expect(result.error).toMatchObject({ code, message: expect.stringContaining(text) });
  expect(incoming.query()).toBe(result);
  expect(guest.machine.running).toBe(false);
  expect(guest.run.state).not.toBe("running");
  // It was disposed of.
  await expect(guest.machine.start()).rejects.toThrow("has ended");
}
