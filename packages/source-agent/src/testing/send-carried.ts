import { expect } from "vitest";
import type { CarriedParts } from "./carried-machine.ts";
import { CarriedReceiver, CarriedSource } from "./carried-source.ts";

/** Sends a machine that is all here. @returns what came, and its bytes. */
export async function sendCarried(
  machine: CarriedParts,
  { returnPath }: { readonly returnPath: boolean },
): Promise<{ readonly received: CarriedParts; readonly bytes: Buffer; readonly commands: string[] }> {
  await using source = new CarriedSource(machine);
  await using receiver = await CarriedReceiver.listen({
    footers: machine.opening.footers,
    described: machine.closing.ending.kind === "described",
  });
  source.machine.arrive();
  source.migration.setCapabilities({ "return-path": returnPath });
  source.migration.migrate(receiver.uri);
  expect([await source.ended(), source.migration.error?.message]).toEqual(["completed", undefined]);
  // Without an answer it stays to be sent again.
  expect(source.run.state).toBe(returnPath ? "postmigrate" : "inmigrate");
  const received = await receiver.parts;
  const commands = receiver.reader.commands.map((command) =>
    command.kind === "ping" ? `ping ${command.value}` : command.kind,
  );
  return { received: received!, bytes: receiver.bytes, commands };
}

/** Checks that a machine is the one that was sent. */
export function expectSameMachine(received: CarriedParts, sent: CarriedParts): void {
  expect({ ...received, memory: [] }).toEqual({ ...sent, memory: [] });
  for (const [block, bytes] of sent.memory.entries()) {
    expect(Buffer.compare(bytes, received.memory[block]!), sent.blocks[block]!.name).toBe(0);
  }
}
