import type { ImageMachine } from "@peregrine/machine-image";
import { openMachineRam } from "@peregrine/shared-state/testing";
import { expect } from "vitest";
import { fixture, sha256 } from "../../protocol/test/fixtures.ts";
import { decodeRecording } from "../../protocol/test/recordings.ts";
import type { ImageArrival } from "./arrival.ts";
import { memoryOf } from "./machines.ts";

/** The machine has arrived, as the recording has it. */
export async function expectHeld({ image, incoming, run }: ImageArrival, name: string): Promise<void> {
  const result = await incoming.done;
  if (result.kind === "failed") throw result.error;
  expect(result.runState).toBe("paused");
  expect(run.state).toBe("paused");
  await expectImage(image, name);
}

/** The image holds what the recording has: memory, devices, and how the stream is framed. */
async function expectImage(image: ImageMachine, name: string): Promise<void> {
  const of = fixture(name);
  const ram = await openMachineRam(image);
  const memory = memoryOf(ram);
  expect(sha256(memory[ram.blocks.findIndex((block) => block.name === of.ramBlock)]!)).toBe(of.ramSha256);
  const { echo } = await decodeRecording(name, () => 65_536);
  expect(ram.blocks).toEqual(echo.blocks.map(({ name: block, length }) => ({ name: block, length })));
  expect(memory.map(sha256)).toEqual(echo.memory.map(sha256));
  const { configuration, footers, early } = image.carried.opening();
  const { late, ending } = image.carried.closing();
  const { capabilities: _, ...configured } = echo.configured ?? {};
  expect(configuration).toEqual(echo.configured && configured);
  expect(footers).toBe(!name.startsWith("pc2"));
  expect(early).toEqual([]);
  if (echo.undivided === undefined) {
    expect(late).toEqual(
      echo.devices.map(({ header, payload }) => ({
        name: header.name,
        instance: header.instance,
        version: header.version,
        payload,
      })),
    );
    expect(ending).toEqual({ kind: "described", text: echo.description });
  } else {
    expect(late.map(({ payload }) => payload)).toEqual([echo.undivided]);
    expect(ending).toEqual({ kind: "undivided" });
  }
}
