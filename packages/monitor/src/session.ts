import { MigrationError } from "@peregrine/protocol";
import type { Channel } from "@peregrine/transport";
import * as v from "valibot";
import type { CommandTable } from "./command.ts";
import { commandTable, defineCommand, NEGOTIATION_COMMAND } from "./command.ts";
import type { QmpEvent, Timestamp } from "./events.ts";
import { encodeLine, LineDecoder, parseJson } from "./json-lines.ts";
import type { Line } from "./json-lines.ts";
import type { MonitorLimits } from "./limits.ts";
import { echoedId, parseRequest } from "./request.ts";
import type { Request } from "./request.ts";
import type { MonitorVersion } from "./version.ts";

/** A client begins in negotiation, where it gets no events and has one command. */
type Mode = "negotiation" | "command";

/**
 * One client of the monitor. Its commands are carried out one after another, in the order in which
 * they came, and while one runs nothing more is read from the client.
 */
export class Session {
  readonly #channel: Channel;
  readonly #commands: CommandTable;
  readonly #limits: MonitorLimits;
  readonly #negotiation: CommandTable;
  #mode: Mode = "negotiation";
  #closing = false;
  #queued = 0;
  #answering: Promise<void> = Promise.resolve();

  constructor(channel: Channel, commands: CommandTable, limits: MonitorLimits) {
    this.#channel = channel;
    this.#commands = commands;
    this.#limits = limits;
    this.#negotiation = commandTable([
      defineCommand(NEGOTIATION_COMMAND, { enable: v.optional(v.array(v.string())) }, ({ enable = [] }) =>
        this.#negotiate(enable),
      ),
    ]);
  }

  /** Serves the client until it goes away. */
  async run(version: MonitorVersion): Promise<void> {
    this.#send({ QMP: { version, capabilities: [] } });
    const lines = new LineDecoder(this.#limits.objectBytes);
    try {
      for await (const chunk of this.#channel.read()) {
        for (const line of lines.push(chunk)) {
          if (this.#closing) return;
          this.#answering = this.#answer(line);
          await this.#answering;
        }
      }
      await this.#channel.end();
    } catch (error) {
      // A client that breaks off is no concern of anybody else.
      this.#channel.destroy(MigrationError.from(error));
    }
    this.#channel.destroy();
  }

  sendEvent(event: QmpEvent, timestamp: Timestamp): void {
    if (this.#mode === "command") this.#send({ timestamp, ...event });
  }

  /** Lets the command that is running answer, begins no other, sends what is waiting, and drops the client. */
  async close(): Promise<void> {
    this.#closing = true;
    const overdue = setTimeout(() => this.#channel.destroy(), this.#limits.closeTimeout);
    try {
      await Promise.race([this.#answering, this.#channel.closed]);
      await this.#channel.end();
    } catch {
      // It is gone already.
    }
    clearTimeout(overdue);
    this.#channel.destroy();
  }

  async #answer(line: Line): Promise<void> {
    let id = {};
    try {
      if (line.kind === "bad") throw line.error;
      if (line.text.trim() === "") return;
      const value = parseJson(line.text);
      id = echoedId(value);
      const answer = await this.#execute(parseRequest(value));
      this.#send({ return: answer ?? {}, ...id });
    } catch (error) {
      const { code, message } = MigrationError.from(error);
      const errorClass = code === "COMMAND_NOT_FOUND" ? "CommandNotFound" : "GenericError";
      this.#send({ error: { class: errorClass, desc: message }, ...id });
    }
  }

  async #execute({ execute, arguments: args }: Request): Promise<unknown> {
    const table = this.#mode === "negotiation" ? this.#negotiation : this.#commands;
    const command = table.get(execute);
    if (command === undefined) throw new MigrationError("COMMAND_NOT_FOUND", this.#notFound(execute));
    return command.run(args);
  }

  #notFound(name: string): string {
    if (this.#mode === "negotiation")
      return `Expecting capabilities negotiation with '${NEGOTIATION_COMMAND}'`;
    if (name === NEGOTIATION_COMMAND) {
      return `Capabilities negotiation is already complete, command '${NEGOTIATION_COMMAND}' ignored`;
    }
    return `The command ${name} has not been found`;
  }

  #negotiate(enable: readonly string[]): void {
    const [unknown] = enable;
    if (unknown !== undefined) {
      throw new MigrationError("BAD_PARAMETER", `Parameter 'enable' does not accept value '${unknown}'`);
    }
    this.#mode = "command";
  }

  #send(value: unknown): void {
    const bytes = encodeLine(value);
    this.#queued += bytes.length;
    if (this.#queued > this.#limits.outputBytes) {
      const limit = this.#limits.outputBytes;
      this.#channel.destroy(
        new MigrationError("LIMIT_EXCEEDED", `The monitor's client left more than ${limit} bytes unread`),
      );
      return;
    }
    void this.#write(bytes);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#channel.write(bytes);
      this.#queued -= bytes.length;
    } catch {
      // The reader of the channel sees the same failure.
    }
  }
}
