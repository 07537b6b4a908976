import { MigrationError } from "@peregrine/protocol";
import type { Channel } from "@peregrine/transport";
import type { MonitorConnection, Received } from "./connection.ts";
import { encodeLine, LineDecoder, parseJson } from "./json-lines.ts";
import type { Line } from "./json-lines.ts";

/** QMP's own framing: one JSON object a line. */
export class JsonConnection implements MonitorConnection {
  readonly closed: Promise<void>;
  readonly #channel: Channel;
  readonly #maxBytes: number;

  /** @param maxBytes of one line from the client. */
  constructor(channel: Channel, maxBytes: number) {
    this.#channel = channel;
    this.#maxBytes = maxBytes;
    this.closed = channel.closed;
  }

  async *receive(): AsyncGenerator<Received, void, void> {
    const lines = new LineDecoder(this.#maxBytes);
    for await (const chunk of this.#channel.read()) {
      for (const line of lines.push(chunk)) {
        if (!isBlank(line)) yield receivedIn(line);
      }
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

function isBlank(line: Line): boolean {
  return line.kind === "line" && line.text.trim() === "";
}

function receivedIn(line: Line): Received {
  if (line.kind === "bad") return line;
  try {
    return { kind: "value", value: parseJson(line.text) };
  } catch (error) {
    return { kind: "bad", error: MigrationError.from(error) };
  }
}
