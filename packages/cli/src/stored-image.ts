import { MigrationError } from "@peregrine/protocol";
import type { MigrationId } from "@peregrine/protocol";
import type { SourceOffer } from "@peregrine/dest-agent";
import type { Machine, OwnershipLedger } from "@peregrine/shared-state";
import type { Agent } from "./agent.ts";
import type { ImageStore } from "./image-store.ts";

/** Keeps the file of an image in step with the image: written before it is accepted, gone when it has moved. */
export class StoredImage {
  readonly #store: ImageStore;
  readonly #machine: Machine;
  readonly #say: (text: string) => void;
  #released: Promise<void> | undefined;
  /** The writing of an image whose source keeps its guest until it is told. */
  #provisional: Promise<void> | undefined;
  /** Where it is to be recorded that the image is this agent's, once it is: a source that is asked has that done itself. */
  #unasked: OwnershipLedger | undefined;

  /** @param say prints one line for the user. */
  constructor(store: ImageStore, machine: Machine, say: (text: string) => void) {
    this.#store = store;
    this.#machine = machine;
    this.#say = say;
  }

  /** The file to take the image from, if it was stored before. */
  async file(): Promise<string | undefined> {
    return (await this.#store.holdsImage()) ? this.#store.path : undefined;
  }

  /**
   * Writes the image that has arrived. A source that waits for the answer keeps its guest when that fails;
   * one that does not has given it up already, so the image is held in memory alone.
   * @param ledger where it is recorded that the file's guest may be the source's.
   * Errors: STORE_FAILED, with the return path.
   */
  async keep({ returnPath, migration }: SourceOffer, ledger: OwnershipLedger): Promise<void> {
    if (returnPath) {
      if (migration === undefined) this.#unasked = ledger;
      this.#provisional = this.#saveInDoubt(migration, ledger);
      return this.#provisional;
    }
    try {
      await this.#store.save(this.#machine);
    } catch (error) {
      const { code, message } = MigrationError.from(error);
      this.#say(`${code}: ${message}; it is held in memory only, and lost when this process ends`);
    }
  }

  /** The load has succeeded, and the source was told: the image is this agent's. Never rejects. */
  async loaded(): Promise<void> {
    try {
      await this.#unasked?.write({ ownership: "owner" });
    } catch (error) {
      const { code, message } = MigrationError.from(error);
      this.#say(
        `${code}: ${message}; an agent that is started again does not take the image before it is told to`,
      );
    }
  }

  /**
   * The load has failed. Gives up what was written for it, if the source has kept its guest: otherwise the guest
   * would be in two places. Never rejects.
   */
  async loadFailed(): Promise<void> {
    if (this.#provisional === undefined) return;
    await this.#provisional.catch(() => undefined);
    await this.#release();
  }

  /** Gives the file up as soon as the agent's guest has moved. */
  follow(agent: Agent): void {
    const look = (): void => {
      if (agent.hasMoved) this.#released ??= this.#release();
    };
    agent.subscribe(look);
    // An operator may have said so.
    agent.onTrace(look);
  }

  /** The file is gone if the guest has moved. Never rejects. */
  async settled(): Promise<void> {
    await this.#released;
  }

  async #saveInDoubt(migration: MigrationId | undefined, ledger: OwnershipLedger): Promise<void> {
    await ledger.write({ ownership: "receiving", migration, kept: this.#store.path });
    await this.#store.save(this.#machine);
  }

  async #release(): Promise<void> {
    try {
      await this.#store.remove();
    } catch (error) {
      const { code, message } = MigrationError.from(error);
      this.#say(`${code}: ${message}; remove it, so that the guest is not held twice`);
    }
  }
}
