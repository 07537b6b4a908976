import { DirtyBitmap, globalStateDevice, PAGE_SIZE, RunControl } from "@peregrine/shared-state";
import type { MigrationStatus, OwnershipLedger } from "@peregrine/shared-state";
import { intervalTicker, TestMachine } from "@peregrine/shared-state/testing";
import type { TestMachineOptions } from "@peregrine/shared-state/testing";
import { expect } from "vitest";
import type { MigrationThreads } from "../migration-threads.ts";
import { OutgoingMigration } from "../outgoing-migration.ts";
import type { OutgoingMigrationOptions } from "../outgoing-options.ts";
import { TestReceiver } from "./test-receiver.ts";
import type { ReceiverBehaviour } from "./test-receiver.ts";

export interface SourceOptions extends TestMachineOptions {
  /** Default: true. */
  readonly running?: boolean;
  /** Leaves the limit on what it sends as it is at first. Default: false, it is unlimited. */
  readonly limited?: boolean;
  readonly ledger?: OwnershipLedger;
  readonly timeouts?: NonNullable<OutgoingMigrationOptions["timeouts"]>;
  readonly threads?: MigrationThreads;
}

/** A test machine with its run state and its outgoing migration. */
export class Source implements AsyncDisposable {
  readonly machine: TestMachine;
  readonly run: RunControl;
  readonly migration: OutgoingMigration;
  readonly statuses: MigrationStatus[] = [];
  readonly #receivers: TestReceiver[] = [];

  private constructor(options: SourceOptions) {
    this.machine = TestMachine.source({ ticker: intervalTicker(), ...options });
    this.run = new RunControl(this.machine);
    this.machine.devices.register(globalStateDevice(this.run));
    this.migration = new OutgoingMigration({
      machine: this.machine,
      run: this.run,
      timeouts: options.timeouts ?? {},
      ...(options.ledger === undefined ? {} : { ledger: options.ledger }),
      ...(options.threads === undefined ? {} : { threads: options.threads }),
    });
    if (options.limited !== true) this.migration.setSpeed(0);
    this.migration.subscribe((event) => {
      if (event.kind === "migration") this.statuses.push(event.status);
    });
  }

  static async make(options: SourceOptions = {}): Promise<Source> {
    const source = new Source(options);
    if (options.running !== false) await source.run.cont();
    return source;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.migration.dispose();
    await this.machine.dispose();
    await Promise.all(this.#receivers.map((receiver) => receiver[Symbol.asyncDispose]()));
  }

  /** Resolves with the first of these states that the migration has or gets. */
  reaches(...statuses: readonly MigrationStatus[]): Promise<MigrationStatus> {
    return new Promise((resolve) => {
      const look = (status: MigrationStatus): boolean => {
        if (!statuses.includes(status)) return false;
        resolve(status);
        return true;
      };
      if (look(this.migration.status)) return;
      const unsubscribe = this.migration.subscribe((event) => {
        if (event.kind === "migration" && look(event.status)) unsubscribe();
      });
    });
  }

  ended(): Promise<MigrationStatus> {
    return this.reaches("completed", "failed", "cancelled");
  }

  /** Resolves when the guest has written to memory after the call. */
  async progress(): Promise<void> {
    const { guest } = this.machine;
    const [sweeps, position] = [guest.sweeps, guest.position];
    while (guest.sweeps === sweeps && guest.position === position) {
      await new Promise((resolve) => {
        setTimeout(resolve, 1);
      });
    }
  }

  /** Whether the guest, which is running, logs what it writes. Not during a migration, which needs the log. */
  async isLogging(): Promise<boolean> {
    const { ram } = this.machine.guest;
    const bitmaps = ram.blocks.map(({ length }) => new DirtyBitmap(length / PAGE_SIZE));
    ram.harvest(bitmaps);
    await this.progress();
    return ram.harvest(bitmaps.map((bitmap) => new DirtyBitmap(bitmap.pages))) > 0;
  }

  /** A receiver that can read what this source sends. It ends with the source, if not before. */
  async receiver(
    behaviour: Omit<ReceiverBehaviour, "devices"> = {},
    uri = "tcp:127.0.0.1:0",
  ): Promise<TestReceiver> {
    const devices = this.machine.devices.descriptions();
    const receiver = await TestReceiver.listen(uri, { devices, ...behaviour });
    this.#receivers.push(receiver);
    return receiver;
  }

  /** Checks that the guest runs on here as if nothing had been. */
  async expectUntouched(): Promise<void> {
    expect(this.run.state).toBe("running");
    expect(await this.isLogging()).toBe(false);
  }

  /** Checks that a migration can start at once, and that it succeeds. */
  async expectMigrates(): Promise<void> {
    await using receiver = await this.receiver();
    this.migration.setSpeed(0);
    this.migration.migrate(receiver.uri);
    expect([await this.ended(), this.migration.error?.message]).toEqual(["completed", undefined]);
    this.machine.verify();
    // One that is not to answer may not have read everything yet.
    await receiver.over;
    this.expectSame(receiver);
  }

  /** Checks that the receiver's memory is the guest's. */
  expectSame({ ram }: TestReceiver): void {
    for (const [block, bytes] of this.memory().entries()) {
      expect(Buffer.compare(bytes, ram[block]!.subarray(0, bytes.length)), `block ${block}`).toBe(0);
    }
  }

  /** The bytes in use of each block. */
  memory(): Uint8Array[] {
    const { ram } = this.machine.guest;
    return ram.blocks.map((_, block) => {
      const bytes = new Uint8Array(ram.usedBytes(block));
      ram.readPages(block, 0, bytes.length / PAGE_SIZE, bytes, 0);
      return bytes;
    });
  }
}
