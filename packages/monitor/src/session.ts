import { MigrationError } from "@peregrine/protocol";
import * as v from "valibot";
import { ClientOutput } from "./client-output.ts";
import type { CommandTable } from "./command.ts";
import { commandTable, defineCommand, NEGOTIATION_COMMAND } from "./command.ts";
import type { MonitorConnection, Received } from "./connection.ts";
import { Conversation } from "./conversation.ts";
import type { QmpEvent, Timestamp } from "./events.ts";
import type { MonitorLimits } from "./limits.ts";
import { echoedId, parseRequest } from "./request.ts";
import type { Request } from "./request.ts";
import type { MonitorVersion } from "./version.ts";

/** A client begins in negotiation, where it gets no events and has one command. */
type Mode = "negotiation" | "command";

export interface SessionOptions {
  readonly connection: MonitorConnection;
  readonly commands: CommandTable;
  readonly version: MonitorVersion;
  readonly limits: MonitorLimits;
}

/** One client of QMP. */
export class Session {
  readonly #connection: MonitorConnection;
  readonly #output: ClientOutput;
  readonly #commands: CommandTable;
  readonly #version: MonitorVersion;
  readonly #conversation: Conversation<Received>;
  readonly #negotiation: CommandTable;
  #mode: Mode = "negotiation";

  constructor({ connection, commands, version, limits }: SessionOptions) {
    this.#connection = connection;
    this.#version = version;
    this.#output = new ClientOutput(connection, limits.outputBytes);
    this.#commands = commands;
    this.#conversation = new Conversation({
      connection,
      messages: connection.receive(),
      answer: (received) => this.#answer(received),
      closeTimeout: limits.closeTimeout,
    });
    this.#negotiation = commandTable([
      defineCommand(NEGOTIATION_COMMAND, { enable: v.optional(v.array(v.string())) }, ({ enable = [] }) =>
        this.#negotiate(enable),
      ),
    ]);
  }

  /** Serves the client until it goes away. */
  run(): Promise<void> {
    this.#send({ QMP: { version: this.#version, capabilities: [] } });
    return this.#conversation.run();
  }

  sendEvent(event: QmpEvent, timestamp: Timestamp): void {
    if (this.#mode === "command") this.#send({ timestamp, ...event });
  }

  /** Lets the command that is running answer, begins no other, sends what is waiting, and drops the client. */
  close(): Promise<void> {
    return this.#conversation.close();
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
    return command.run(args, this.#connection);
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
