import { MigrationError } from "@peregrine/protocol";
import { once } from "node:events";
import { constants } from "node:os";

/** How a shell reports a process that wrote to a pipe nobody reads any more. */
const PIPE_STATUS = 128 + constants.signals.SIGPIPE;

/** Characters that are written together. */
const MOST_HELD = 64 * 1024;

/** Lines for the standard output, which may be read more slowly than they are made. */
export class Output {
  readonly #json: boolean;
  #held = "";

  /** @param json whether {@link object} prints. */
  constructor(json: boolean) {
    this.#json = json;
    // Whoever read the output has seen enough, as with `| head`.
    process.stdout.on("error", () => process.exit(PIPE_STATUS));
  }

  get json(): boolean {
    return this.#json;
  }

  line(text: string): void {
    this.#held += `${text}\n`;
    if (this.#held.length > MOST_HELD) this.#write();
  }

  object(value: object): void {
    this.line(JSON.stringify(value, plainBytes));
  }

  /** An object that says why there are no more. */
  fault(error: unknown): void {
    const { code, message, offset, section, lastGoodSection } = MigrationError.from(error);
    this.object({ item: "fault", code, message, offset, section, lastGoodSection });
  }

  /** Prints what is held back. Resolves when more may be printed. */
  async ready(): Promise<void> {
    this.#write();
    if (process.stdout.writableNeedDrain) await once(process.stdout, "drain");
  }

  /** Resolves when everything is out of this process, which may end then. */
  async flushed(): Promise<void> {
    this.#write();
    await new Promise<void>((resolve) => {
      process.stdout.write("", () => resolve());
    });
  }

  #write(): void {
    if (this.#held !== "") process.stdout.write(this.#held);
    this.#held = "";
  }
}

function plainBytes(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;
}
