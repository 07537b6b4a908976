import { ByteReader } from "./byte-reader.ts";
import { MigrationError } from "./errors.ts";
import type { Command, HandOverStep, RamRange } from "./messages.ts";
import { toHex } from "./hex.ts";
import { COMMAND_CODE, HAND_OVER_STEP, MIGRATION_ID_BYTES, RAM_DISCARD_VERSION } from "./wire.ts";

const PAGE_SIZES_BYTES = 16;
const RANGE_BYTES = 16;
const HAND_OVER_STEPS: readonly HandOverStep[] = ["offer", "give", "keep"];

/**
 * Gives a command its shape. Codes without one keep a copy of their payload.
 *
 * @param offset stream offset of the payload, for errors.
 *
 * Errors: BAD_STREAM_COMMAND when the payload does not have the form of the code.
 */
export function decodeCommand(code: number, payload: Uint8Array, offset: number): Command {
  const input = new ByteReader(offset);
  input.push(payload);
  switch (code) {
    case COMMAND_CODE.openReturnPath:
      requireLength("OPEN_RETURN_PATH", payload, 0);
      return { kind: "open-return-path" };
    case COMMAND_CODE.ping:
      requireLength("PING", payload, 4);
      return { kind: "ping", value: input.be32() };
    case COMMAND_CODE.postcopyAdvise:
      return decodeAdvise(payload, input);
    case COMMAND_CODE.postcopyListen:
      requireLength("POSTCOPY_LISTEN", payload, 0);
      return { kind: "postcopy-listen" };
    case COMMAND_CODE.postcopyRun:
      requireLength("POSTCOPY_RUN", payload, 0);
      return { kind: "postcopy-run" };
    case COMMAND_CODE.postcopyRamDiscard:
      return decodeDiscard(input);
    case COMMAND_CODE.packaged:
      requireLength("PACKAGED", payload, 4);
      return { kind: "packaged", length: input.be32() };
    case COMMAND_CODE.enableColo:
      requireLength("ENABLE_COLO", payload, 0);
      return { kind: "enable-colo" };
    case COMMAND_CODE.postcopyResume:
      requireLength("POSTCOPY_RESUME", payload, 0);
      return { kind: "postcopy-resume" };
    case COMMAND_CODE.recvBitmap:
      return decodeRecvBitmap(input);
    case COMMAND_CODE.switchoverStart:
      requireLength("SWITCHOVER_START", payload, 0);
      return { kind: "switchover-start" };
    case COMMAND_CODE.handOver:
      return decodeHandOver(payload, input);
    case COMMAND_CODE.alive:
      requireLength("ALIVE", payload, 0);
      return { kind: "alive" };
    default:
      return { kind: "other", code, payload: new Uint8Array(payload) };
  }
}

function decodeAdvise(payload: Uint8Array, input: ByteReader): Command {
  if (payload.length === 0) return { kind: "postcopy-advise" };
  requireLength("POSTCOPY_ADVISE", payload, PAGE_SIZES_BYTES);
  return { kind: "postcopy-advise", pageSizes: { summary: input.be64(), target: input.be64() } };
}

/** Version, counted block name, a NUL, then pairs of be64 start and length. */
function decodeDiscard(input: ByteReader): Command {
  if (input.available < 2) throw malformed("POSTCOPY_RAM_DISCARD", "it has no block name");
  const version = input.u8();
  if (version !== RAM_DISCARD_VERSION) {
    throw malformed("POSTCOPY_RAM_DISCARD", `its version is ${version} instead of ${RAM_DISCARD_VERSION}`);
  }
  if (!input.hasCounted(1)) throw malformed("POSTCOPY_RAM_DISCARD", "its block name is cut short");
  const block = input.counted("the name of a RAM block");
  if (input.u8() !== 0) throw malformed("POSTCOPY_RAM_DISCARD", "no NUL follows the block name");
  if (input.available % RANGE_BYTES !== 0) {
    throw malformed("POSTCOPY_RAM_DISCARD", "its ranges are not pairs of 64-bit numbers");
  }
  const ranges: RamRange[] = [];
  while (input.available > 0) ranges.push({ start: input.be64(), length: input.be64() });
  return { kind: "postcopy-ram-discard", block, ranges };
}

function decodeHandOver(payload: Uint8Array, input: ByteReader): Command {
  requireLength("HAND_OVER", payload, 1 + MIGRATION_ID_BYTES);
  const code = input.u8();
  const step = HAND_OVER_STEPS.find((name) => HAND_OVER_STEP[name] === code);
  if (step === undefined) throw malformed("HAND_OVER", `it has no step ${code}`);
  return { kind: "hand-over", step, migration: toHex(input.view(MIGRATION_ID_BYTES)) };
}

function decodeRecvBitmap(input: ByteReader): Command {
  if (!input.hasCounted()) throw malformed("RECV_BITMAP", "its block name is cut short");
  const block = input.counted("the name of a RAM block");
  if (input.available > 0) throw malformed("RECV_BITMAP", "something follows the block name");
  return { kind: "recv-bitmap", block };
}

function requireLength(name: string, payload: Uint8Array, expected: number): void {
  if (payload.length === expected) return;
  throw new MigrationError(
    "BAD_STREAM_COMMAND",
    `Command ${name} has a payload of ${payload.length} bytes instead of ${expected}`,
  );
}

function malformed(name: string, why: string): MigrationError {
  return new MigrationError("BAD_STREAM_COMMAND", `Command ${name} is malformed: ${why}`);
}
