import { MigrationError } from "@peregrine/protocol";
import type { DirtyBitmap } from "../dirty-bitmap.ts";
import { CHUNK_SIZE } from "../drive.ts";
import type {
  Drive,
  DriveAccess,
  IncomingDrives,
  MachineDrives,
  OpenIncomingDrives,
  OpenOutgoingDrives,
  OutgoingDrives,
} from "../drive.ts";

/** What stands for a drive's image file: bytes in shared memory, and who holds their lock. */
export class TestImage {
  readonly bytes: SharedArrayBuffer;
  /** For each chunk, 1 if the image itself holds it and not what is behind it. */
  readonly held: SharedArrayBuffer;
  holder: MachineDrives | undefined;
  /** What arrived cannot be put in place. */
  writable = true;

  /** @param length bytes. */
  constructor(length: number) {
    this.bytes = new SharedArrayBuffer(length);
    this.held = new SharedArrayBuffer(Math.ceil(length / CHUNK_SIZE));
  }
}

/** A drive as every thread opens it. */
interface TestDrive extends Drive {
  readonly bytes: SharedArrayBuffer;
  readonly held: SharedArrayBuffer;
  /** For each chunk, 1 if it was written since the last harvest. */
  readonly log: SharedArrayBuffer;
}

const MODULE = import.meta.url;

/** Drives on test images. */
export class TestDrives implements MachineDrives {
  readonly drives: readonly Drive[];
  /** The calls that change who holds the drives, in their order. */
  readonly calls: string[] = [];
  readonly #images: readonly TestImage[];
  readonly #data: readonly TestDrive[];
  #arriving: readonly TestDrive[] | undefined;

  private constructor(images: Readonly<Record<string, TestImage>>) {
    this.#images = Object.values(images);
    this.#data = Object.entries(images).map(([id, { bytes, held }]) => ({
      id,
      length: bytes.byteLength,
      bytes,
      held,
      log: new SharedArrayBuffer(held.byteLength),
    }));
    this.drives = this.#data;
  }

  /** Of a guest that runs here. Errors: DRIVE_LOCKED. */
  static held(images: Readonly<Record<string, TestImage>>): TestDrives {
    const drives = new TestDrives(images);
    drives.#lock();
    return drives;
  }

  /** Of a guest that is to arrive. */
  static awaited(images: Readonly<Record<string, TestImage>>): TestDrives {
    return new TestDrives(images);
  }

  /** A write of the guest. Errors: INTERNAL unless the drives are held here. */
  write(drive: number, offset: number, bytes: Uint8Array): void {
    if (this.#images[drive]!.holder !== this) {
      throw new MigrationError("INTERNAL", `drive ${drive} is written to and not held`);
    }
    const data = this.#data[drive]!;
    new Uint8Array(data.bytes).set(bytes, offset);
    const first = Math.floor(offset / CHUNK_SIZE);
    const end = Math.ceil((offset + bytes.length) / CHUNK_SIZE);
    new Uint8Array(data.held).fill(1, first, end);
    new Uint8Array(data.log).fill(1, first, end);
  }

  outgoing(): DriveAccess {
    for (const { log } of this.#data) new Uint8Array(log).fill(0);
    return { module: MODULE, data: this.#data };
  }

  incoming(): DriveAccess {
    this.#arriving ??= this.#data.map((drive) => ({
      ...drive,
      bytes: copyOf(drive.bytes),
      held: copyOf(drive.held),
    }));
    return { module: MODULE, data: this.#arriving };
  }

  async release(): Promise<void> {
    this.calls.push("release");
    this.#unlock();
  }

  async reclaim(): Promise<void> {
    this.calls.push("reclaim");
    this.#lock();
  }

  async lock(): Promise<void> {
    this.calls.push("lock");
    this.#lock();
  }

  async unlock(): Promise<void> {
    this.calls.push("unlock");
    this.#unlock();
  }

  async takeOver(): Promise<void> {
    this.calls.push("takeOver");
    this.#lock();
    for (const [drive, image] of this.#images.entries()) {
      const arrived = this.#arriving?.[drive];
      if (arrived === undefined) continue;
      if (!image.writable) throw new MigrationError("WRITE_FAILED", `The drive ${drive} cannot be written`);
      new Uint8Array(image.bytes).set(new Uint8Array(arrived.bytes));
      new Uint8Array(image.held).set(new Uint8Array(arrived.held));
    }
    this.#arriving = undefined;
  }

  async discard(): Promise<void> {
    this.calls.push("discard");
    this.#arriving = undefined;
    this.#unlock();
  }

  #lock(): void {
    const locked = this.#images.findIndex(({ holder }) => holder !== undefined && holder !== this);
    if (locked >= 0) {
      const text = `The drive '${this.drives[locked]!.id}' is in use elsewhere`;
      throw new MigrationError("DRIVE_LOCKED", text);
    }
    for (const image of this.#images) image.holder = this;
  }

  #unlock(): void {
    for (const image of this.#images) if (image.holder === this) image.holder = undefined;
  }
}

export const openOutgoingDrives: OpenOutgoingDrives = async (data): Promise<OutgoingDrives> => {
  const drives = data as readonly TestDrive[];
  return {
    drives,
    holds: (drive, chunk) => new Uint8Array(drives[drive]!.held)[chunk] === 1,
    harvest: (into) => drives.reduce((sum, drive, index) => sum + harvest(drive, into[index]!), 0),
    read: async (drive, chunk, target) => {
      const bytes = new Uint8Array(drives[drive]!.bytes).subarray(chunk * CHUNK_SIZE);
      target.fill(0);
      target.set(bytes.subarray(0, CHUNK_SIZE));
    },
    close: async () => {},
  };
};

export const openIncomingDrives: OpenIncomingDrives = async (data): Promise<IncomingDrives> => {
  const drives = data as readonly TestDrive[];
  const write = async (drive: number, chunk: number, bytes: Uint8Array): Promise<void> => {
    const at = chunk * CHUNK_SIZE;
    const target = new Uint8Array(drives[drive]!.bytes);
    target.set(bytes.subarray(0, target.length - at), at);
    new Uint8Array(drives[drive]!.held)[chunk] = 1;
  };
  return {
    drives,
    write,
    writeZeros: (drive, chunk) => write(drive, chunk, new Uint8Array(CHUNK_SIZE)),
    sync: async () => {},
    close: async () => {},
  };
};

function harvest({ log }: TestDrive, into: DirtyBitmap): number {
  const marks = new Uint8Array(log);
  let fresh = 0;
  for (let chunk = 0; chunk < marks.length; chunk++) {
    if (Atomics.exchange(marks, chunk, 0) === 1 && into.set(chunk)) fresh++;
  }
  return fresh;
}

function copyOf(buffer: SharedArrayBuffer): SharedArrayBuffer {
  const copy = new SharedArrayBuffer(buffer.byteLength);
  new Uint8Array(copy).set(new Uint8Array(buffer));
  return copy;
}
