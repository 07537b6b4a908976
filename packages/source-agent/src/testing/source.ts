import { globalStateDevice, RunControl } from "@peregrine/shared-state";
import type { MigrationStatus } from "@peregrine/shared-state";
import { intervalTicker, TestMachine } from "@peregrine/shared-state/testing";
import type { TestMachineOptions } from "@peregrine/shared-state/testing";
import { OutgoingMigration } from "../outgoing-migration.ts";
import type { OutgoingMigrationOptions } from "../outgoing-migration.ts";

export interface SourceOptions extends TestMachineOptions {
  /** Default: true. */
  readonly running?: boolean;
  readonly timeouts?: NonNullable<OutgoingMigrationOptions["timeouts"]>;
}

/** A test machine with its run state and its outgoing migration. */
export class Source implements AsyncDisposable {
  readonly machine: TestMachine;
  readonly run: RunControl;
  readonly migration: OutgoingMigration;
  readonly statuses: MigrationStatus[] = [];

  private constructor(options: SourceOptions) {
    this.machine = TestMachine.source({ ticker: intervalTicker(), ...options });
    this.run = new RunControl(this.machine);
    this.machine.devices.register(globalStateDevice(this.run));
    this.migration = new OutgoingMigration({
      machine: this.machine,
      run: this.run,
      timeouts: options.timeouts ?? {},
    });
    this.migration.setSpeed(0);
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

  /** The bytes in use of each block. */
  memory(): Uint8Array[] {
    const { ram } = this.machine.guest;
    return ram.blocks.map((_, block) => {
      const bytes = new Uint8Array(ram.usedBytes(block));
      ram.readPages(block, 0, bytes.length / 4096, bytes, 0);
      return bytes;
    });
  }
}
