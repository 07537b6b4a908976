import { MigrationError } from "@peregrine/protocol";
import type { Address } from "@peregrine/transport";
import { expect } from "vitest";
import { IncomingMigration } from "../src/index.ts";
import type { IncomingMigrationOptions } from "../src/index.ts";
import { destination } from "./machines.ts";
import type { Guest } from "./machines.ts";
import { Sender } from "./sender.ts";

export const TCP = "tcp:127.0.0.1:0";

/** A destination that listens. */
export interface Arrival {
  readonly guest: Guest;
  readonly incoming: IncomingMigration;
  readonly address: Address;
  readonly connect: () => Promise<Sender>;
}

export interface Preparation extends Partial<IncomingMigrationOptions> {
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

export async function listening({ prepare, ...options }: Preparation = {}): Promise<Arrival> {
  const guest = destination();
  prepare?.(guest);
  const incoming = new IncomingMigration({
    machine: guest.machine,
    runControl: guest.run,
    uri: TCP,
    ...options,
  });
  const senders: Sender[] = [];
  opened.push({ incoming, senders });
  const address = await incoming.listen();
  return {
    guest,
    incoming,
    address,
    connect: async () => {
      const sender = await Sender.connect(address);
      senders.push(sender);
      return sender;
    },
  };
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
