import { MigrationError } from "@peregrine/protocol";
import * as v from "valibot";
import type { Login } from "./access/login.ts";
import { ClientOutput } from "./client-output.ts";
import type { CommandClient, CommandTable } from "./command.ts";
import { commandTable, defineCommand, NEGOTIATION_COMMAND } from "./command.ts";
import type { MonitorConnection, Received } from "./connection.ts";
import { Conversation } from "./conversation.ts";
import type { QmpEvent, Timestamp } from "./events.ts";
import type { MonitorLimits } from "./limits.ts";
import { echoedId, parseRequest } from "./request.ts";
import type { Request } from "./request.ts";
import type { MonitorVersion } from "./version.ts";

const HOW_TO_LOG_IN = `begin with {"execute": "${NEGOTIATION_COMMAND}", "arguments": {"token": "TOKEN"}}`;

const LOGIN = v.object({
  execute: v.literal(NEGOTIATION_COMMAND),
  arguments: v.object({ token: v.string() }),
});

/** A client begins in negotiation, where it gets no events and has one command. */
type Mode = "negotiation" | "command";

export interface SessionOptions {
  readonly connection: MonitorConnection;
  readonly login: Login;
  readonly commands: CommandTable;
  readonly version: MonitorVersion;
  readonly limits: MonitorLimits;
}

/** One client of QMP. */
export class Session {
  readonly login: Login;
  readonly #connection: MonitorConnection;
  readonly #client: CommandClient;
  readonly #output: ClientOutput;
  readonly #commands: CommandTable;
  readonly #version: MonitorVersion;
  readonly #conversation: Conversation<Received>;
  readonly #negotiation: CommandTable;
  #mode: Mode = "negotiation";

  constructor({ connection, login, commands, version, limits }: SessionOptions) {
    this.#connection = connection;
    this.login = login;
    this.#client = { descriptors: connection.descriptors, isOwner: login.isOwner, closed: connection.closed };
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
      defineCommand(
        NEGOTIATION_COMMAND,
        { enable: v.optional(v.array(v.string())), token: v.optional(v.string()) },
        ({ enable = [] }) => this.#negotiate(enable),
      ),
    ]);
  }

  /** Serves the client until it goes away. */
  async run(): Promise<void> {
    this.login.begin(() => this.#connection.destroy());
    this.#send({ QMP: { version: this.#version, capabilities: [] } });
    await this.#conversation.run();
    this.login.end();
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
      if (received.kind === "value") id = echoedId(received.value);
      // Who has not logged in is not told either what is wrong with its command, or whether there is such a one.
      if (!this.login.isKnown) await this.login.attempt(tokenIn(received), HOW_TO_LOG_IN);
      if (received.kind === "bad") throw received.error;
      const answer = await this.#execute(parseRequest(received.value));
      this.#send({ return: answer ?? {}, ...id });
    } catch (error) {
      const { code, message } = MigrationError.from(error);
      const errorClass = code === "COMMAND_NOT_FOUND" ? "CommandNotFound" : "GenericError";
      this.#send({ error: { class: errorClass, desc: message }, ...id });
      if (this.login.isOver) void this.close();
    }
  }

  async #execute({ execute, arguments: args }: Request): Promise<unknown> {
    const table = this.#mode === "negotiation" ? this.#negotiation : this.#commands;
    const command = table.get(execute);
    if (command === undefined) throw new MigrationError("COMMAND_NOT_FOUND", this.#notFound(execute));
    return command.run(args, this.#client);
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

/** Undefined for anything but a negotiation with a token. */
function tokenIn(received: Received): string | undefined {
  if (received.kind === "bad") return undefined;
  const login = v.safeParse(LOGIN, received.value);
  return login.success ? login.output.arguments.token : undefined;
}
