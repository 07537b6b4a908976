import { MigrationError } from "@peregrine/protocol";
import * as v from "valibot";
import { ClientOutput } from "./client-output.ts";
import type { CommandTable } from "./command.ts";
import { commandTable, defineCommand, NEGOTIATION_COMMAND } from "./command.ts";
import type { MonitorConnection, Received } from "./connection.ts";
import type { QmpEvent, Timestamp } from "./events.ts";
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
  readonly #connection: MonitorConnection;
  readonly #output: ClientOutput;
  readonly #commands: CommandTable;
  readonly #limits: MonitorLimits;
  readonly #negotiation: CommandTable;
  #mode: Mode = "negotiation";
  #closing = false;
  #answering: Promise<void> = Promise.resolve();

  constructor(connection: MonitorConnection, commands: CommandTable, limits: MonitorLimits) {
    this.#connection = connection;
    this.#output = new ClientOutput(connection, limits.outputBytes);
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
    try {
      for await (const received of this.#connection.receive()) {
        if (this.#closing) return;
        this.#answering = this.#answer(received);
        await this.#answering;
      }
      await this.#connection.end();
    } catch (error) {
      // A client that breaks off is no concern of anybody else.
      this.#connection.destroy(MigrationError.from(error));
    }
    this.#connection.destroy();
  }

  sendEvent(event: QmpEvent, timestamp: Timestamp): void {
    if (this.#mode === "command") this.#send({ timestamp, ...event });
  }

  /** Lets the command that is running answer, begins no other, sends what is waiting, and drops the client. */
  async close(): Promise<void> {
    this.#closing = true;
    const overdue = setTimeout(() => this.#connection.destroy(), this.#limits.closeTimeout);
    try {
      await Promise.race([this.#answering, this.#connection.closed]);
      await this.#connection.end();
    } catch {
      // It is gone already.
    }
    clearTimeout(overdue);
    this.#connection.destroy();
  }

  async #answer(received: Received): Promise<void> {
    let id = {};
    try {
      if (received.kind === "bad") throw received.error;
      id = echoedId(received.value);
      const answer = await this.#execute(parseRequest(received.value));
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
      return "Capabilities negotiation is already complete, command ignored";
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

  #send(message: unknown): void {
    this.#output.send(this.#connection.encode(message));
  }
}
