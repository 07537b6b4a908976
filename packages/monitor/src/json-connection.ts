import { MigrationError } from "@peregrine/protocol";
import type { Channel, ReceivedDescriptors } from "@peregrine/transport";
import type { MonitorConnection, Received } from "./connection.ts";
import { encodeLine, parseLine } from "./json-lines.ts";
import { isBlank, readLines } from "./lines.ts";
import type { Line } from "./lines.ts";

/** QMP's own framing: one JSON object a line. */
export class JsonConnection implements MonitorConnection {
  readonly closed: Promise<void>;
  readonly descriptors: ReceivedDescriptors | undefined;
  readonly #channel: Channel;
  readonly #maxBytes: number;

  /** @param maxBytes of one line from the client. */
  constructor(channel: Channel, maxBytes: number) {
    this.#channel = channel;
    this.#maxBytes = maxBytes;
    this.closed = channel.closed;
    this.descriptors = channel.descriptors;
  }

  async *receive(): AsyncGenerator<Received, void, void> {
    for await (const line of readLines(this.#channel, this.#maxBytes)) {
      if (!isBlank(line)) yield receivedIn(line);
    }
  }

  encode(message: unknown): Uint8Array {
    return encodeLine(message);
  }

  write(message: Uint8Array): Promise<void> {
    return this.#channel.write(message);
  }

  end(): Promise<void> {
    return this.#channel.end();
  }

  destroy(error?: MigrationError): void {
    this.#channel.destroy(error);
  }
}

function receivedIn(line: Line): Received {
  try {
    return { kind: "value", value: parseLine(line) };
  } catch (error) {
    return { kind: "bad", error: MigrationError.from(error) };
  }
}
