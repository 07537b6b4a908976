import { MigrationError } from "@peregrine/protocol";
import type { Machine } from "@peregrine/shared-state";
import type { Agent } from "./agent.ts";
import type { KeptGuest } from "./agent-state.ts";
import type { ImageStore } from "./image-store.ts";

/** Keeps the file of an image in step with the image: written before it is accepted, gone when it has moved. */
export class StoredImage {
  readonly #store: ImageStore;
  readonly #machine: Machine;
  readonly #say: (text: string) => void;
  #released: Promise<void> | undefined;
  /** The writing of an image whose source keeps its guest until it is told. */
  #provisional: Promise<void> | undefined;

  /** @param say prints one line for the user. */
  constructor(store: ImageStore, machine: Machine, say: (text: string) => void) {
    this.#store = store;
    this.#machine = machine;
    this.#say = say;
  }

  /** Its file, and whether the image is to be taken from it: it was stored before. */
  async file(): Promise<KeptGuest> {
    return { path: this.#store.path, isThere: await this.#store.holdsImage() };
  }

  /**
   * Writes the image that has arrived. A source that waits for the answer keeps its guest when that fails;
   * one that does not has given it up already, so the image is held in memory alone.
   * Errors: STORE_FAILED, with the return path.
   */
  async keep({ returnPath }: { readonly returnPath: boolean }): Promise<void> {
    const saved = this.#store.save(this.#machine);
    if (returnPath) {
      this.#provisional = saved;
      return saved;
    }
    try {
      await saved;
    } catch (error) {
      const { code, message } = MigrationError.from(error);
      this.#say(`${code}: ${message}; it is held in memory only, and lost when this process ends`);
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

  async #release(): Promise<void> {
    try {
      await this.#store.remove();
    } catch (error) {
      const { code, message } = MigrationError.from(error);
      this.#say(`${code}: ${message}; remove it, so that the guest is not held twice`);
    }
  }
}
