import { FdFlag, MAX_POSITION, MAX_TRANSFER, Whence } from "../abi.ts";
import { readConsole, writeConsole } from "../console-io.ts";
import type { HostCalls, WasiContext } from "../context.ts";
import { requireRights } from "../descriptors.ts";
import type { OpenFile } from "../descriptors.ts";
import { HostError } from "../errno.ts";
import type { GuestBuffers } from "../guest-memory.ts";
import { Right } from "../rights.ts";

/** Reading, writing and seeking. */
export function readWriteCalls(context: WasiContext): HostCalls {
  const { memory, files, table } = context;

  const readFile = (file: OpenFile, buffers: GuestBuffers, position: bigint): number => {
    if (!file.read) throw new HostError("EBADF");
    return transfer(buffers, position, (address, length, at) =>
      memory.writeWith(address, length, (target) => files.read(file.handle, target, at)),
    );
  };

  const writeFile = (file: OpenFile, buffers: GuestBuffers, position: bigint): number => {
    if (!file.write) throw new HostError("EBADF");
    return transfer(buffers, position, (address, length, at) =>
      files.write(file.handle, memory.view(address, length), at),
    );
  };

  /** The right to seek implies the right to tell: one of `rights` is enough. */
  const seekable = (fd: number, rights: number): OpenFile => {
    const file = table.file(fd, 0);
    if ((file.rights & rights) === 0) throw new HostError("ENOTCAPABLE");
    return file;
  };

  return {
    fd_read(fd: number, buffersAt: number, count: number, readAt: number) {
      const source = table.get(fd);
      if (source.kind === "directory") throw new HostError("EISDIR");
      requireRights(source, Right.fdRead);
      memory.check(readAt, 4);
      const buffers = memory.buffers(buffersAt, count);
      if (source.kind === "console") {
        memory.writeU32(readAt, readConsole(context, source, buffers));
        return;
      }
      const length = readFile(source, buffers, source.position);
      source.position += BigInt(length);
      memory.writeU32(readAt, length);
    },
    fd_pread(fd: number, buffersAt: number, count: number, position: bigint, readAt: number) {
      const file = table.file(fd, Right.fdRead);
      memory.check(readAt, 4);
      const buffers = memory.buffers(buffersAt, count);
      memory.writeU32(readAt, readFile(file, buffers, position));
    },
    fd_write(fd: number, buffersAt: number, count: number, writtenAt: number) {
      const target = table.get(fd);
      if (target.kind === "directory") throw new HostError("EISDIR");
      requireRights(target, Right.fdWrite);
      memory.check(writtenAt, 4);
      const buffers = memory.buffers(buffersAt, count);
      if (target.kind === "console") {
        memory.writeU32(writtenAt, writeConsole(context, target, buffers));
        return;
      }
      const length = writeFile(target, buffers, target.position);
      target.position =
        (target.flags & FdFlag.append) !== 0
          ? files.stat(target.handle).size
          : target.position + BigInt(length);
      memory.writeU32(writtenAt, length);
    },
    fd_pwrite(fd: number, buffersAt: number, count: number, position: bigint, writtenAt: number) {
      const file = table.file(fd, Right.fdWrite);
      memory.check(writtenAt, 4);
      const buffers = memory.buffers(buffersAt, count);
      memory.writeU32(writtenAt, writeFile(file, buffers, position));
    },
    fd_seek(fd: number, offset: bigint, whence: number, positionAt: number) {
      const delta = BigInt.asIntN(64, offset);
      // Asking where one is needs less than going elsewhere.
      const onlyAsks = whence === Whence.current && delta === 0n;
      const file = seekable(fd, onlyAsks ? Right.fdSeek | Right.fdTell : Right.fdSeek);
      memory.check(positionAt, 8);
      const position = seekBase(file, whence, () => files.stat(file.handle).size) + delta;
      if (position < 0n || position > MAX_POSITION) throw new HostError("EINVAL");
      file.position = position;
      memory.writeU64(positionAt, position);
    },
    fd_tell(fd: number, positionAt: number) {
      memory.writeU64(positionAt, seekable(fd, Right.fdSeek | Right.fdTell).position);
    },
  };
}

/**
 * Moves bytes buffer by buffer until one comes out short; an error after some bytes gives their count. It asks the host
 * for no more than {@link MAX_TRANSFER} and for nothing behind {@link MAX_POSITION}: hosts have no error number for these.
 */
function transfer(
  buffers: GuestBuffers,
  position: bigint,
  move: (address: number, length: number, position: bigint) => number,
): number {
  const most = Math.min(buffers.total, MAX_TRANSFER);
  if (position + BigInt(most) > MAX_POSITION) throw new HostError("EINVAL");
  let total = 0;
  for (const { address, length } of buffers.list) {
    const wanted = Math.min(length, most - total);
    let moved: number;
    try {
      moved = move(address, wanted, position + BigInt(total));
    } catch (error) {
      if (total > 0 && error instanceof HostError) return total;
      throw error;
    }
    total += moved;
    if (moved < wanted || total === most) break;
  }
  return total;
}

function seekBase(file: OpenFile, whence: number, size: () => bigint): bigint {
  switch (whence) {
    case Whence.set:
      return 0n;
    case Whence.current:
      return file.position;
    case Whence.end:
      return size();
    default:
      throw new HostError("EINVAL");
  }
}
