import { ByteWriter } from "./byte-writer.ts";
import type { Command } from "./messages.ts";
import { fromHex } from "./hex.ts";
import { COMMAND_CODE, HAND_OVER_STEP, RAM_DISCARD_VERSION, SECTION_TYPE } from "./wire.ts";

/** A command with its payload. Behind `packaged` the caller writes as many bytes as it names. */
export function encodeCommand(w: ByteWriter, command: Command): void {
  const payload = new ByteWriter();
  const code = putPayload(payload, command);
  w.u8(SECTION_TYPE.command);
  w.be16(code);
  w.be16(payload.length);
  w.bytes(payload.view());
}

/** @returns the command's code. */
function putPayload(w: ByteWriter, command: Command): number {
  switch (command.kind) {
    case "open-return-path":
      return COMMAND_CODE.openReturnPath;
    case "ping":
      w.be32(command.value);
      return COMMAND_CODE.ping;
    case "postcopy-advise":
      if (command.pageSizes !== undefined) {
        w.be64(command.pageSizes.summary);
        w.be64(command.pageSizes.target);
      }
      return COMMAND_CODE.postcopyAdvise;
    case "postcopy-listen":
      return COMMAND_CODE.postcopyListen;
    case "postcopy-run":
      return COMMAND_CODE.postcopyRun;
    case "postcopy-ram-discard":
      w.u8(RAM_DISCARD_VERSION);
      w.counted(command.block);
      w.u8(0);
      for (const { start, length } of command.ranges) {
        w.be64(start);
        w.be64(length);
      }
      return COMMAND_CODE.postcopyRamDiscard;
    case "packaged":
      w.be32(command.length);
      return COMMAND_CODE.packaged;
    case "enable-colo":
      return COMMAND_CODE.enableColo;
    case "postcopy-resume":
      return COMMAND_CODE.postcopyResume;
    case "recv-bitmap":
      w.counted(command.block);
      return COMMAND_CODE.recvBitmap;
    case "switchover-start":
      return COMMAND_CODE.switchoverStart;
    case "hand-over":
      w.u8(HAND_OVER_STEP[command.step]);
      w.bytes(fromHex(command.migration));
      return COMMAND_CODE.handOver;
    case "alive":
      return COMMAND_CODE.alive;
    default:
      w.bytes(command.payload);
      return command.code;
  }
}

/** The code that the command has on the wire. */
export function commandCode(command: Command): number {
  return putPayload(new ByteWriter(), command);
}
