import { MigrationError } from "@peregrine/protocol";
import type { Channel } from "@peregrine/transport";
import type { Login } from "../access/login.ts";
import { ClientOutput } from "../client-output.ts";
import type { CommandClient } from "../command.ts";
import { Conversation } from "../conversation.ts";
import { readLines } from "../lines.ts";
import type { Line } from "../lines.ts";
import type { MonitorLimits } from "../limits.ts";
import type { HumanMonitor } from "./human-monitor.ts";

const PROMPT = "(peregrine) ";
const TOKEN_PROMPT = "Token: ";

/** One person at the human monitor: plain lines, and a prompt before each. */
export class HumanSession {
  readonly #monitor: HumanMonitor;
  readonly #output: ClientOutput;
  readonly #conversation: Conversation<Line>;
  readonly #gone = new AbortController();
  readonly #channel: Channel;
  readonly #client: CommandClient;
  readonly login: Login;

  constructor(channel: Channel, monitor: HumanMonitor, limits: MonitorLimits, login: Login) {
    this.#monitor = monitor;
    this.#channel = channel;
    this.login = login;
    this.#client = { isOwner: login.isOwner, closed: channel.closed };
    this.#output = new ClientOutput(channel, limits.outputBytes);
    this.#conversation = new Conversation({
      connection: channel,
      messages: readLines(channel, limits.objectBytes),
      answer: (line) => this.#answer(line),
      closeTimeout: limits.closeTimeout,
    });
    void channel.closed.then(() => this.#gone.abort());
  }

  /** Serves the client until it goes away. */
  async run(): Promise<void> {
    this.login.begin(() => this.#channel.destroy());
    if (this.login.isKnown) this.#greet();
    else this.#print(TOKEN_PROMPT);
    await this.#conversation.run();
    this.login.end();
  }

  /** Lets the command that is running answer, and drops the client. */
  close(): Promise<void> {
    return this.#conversation.close();
  }

  #greet(): void {
    this.#print(`${this.#monitor.greeting}\n${PROMPT}`);
  }

  async #logIn(line: Line): Promise<void> {
    try {
      await this.login.attempt(line.kind === "line" ? line.text.trim() : undefined, "one line");
      this.#greet();
    } catch (error) {
      this.#print(`${MigrationError.from(error).message}\n`);
      if (this.login.isOver) void this.close();
      else this.#print(TOKEN_PROMPT);
    }
  }

  async #answer(line: Line): Promise<void> {
    if (!this.login.isKnown) {
      await this.#logIn(line);
      return;
    }
    if (line.kind === "bad") this.#print(`Error: ${line.error.message}\n`);
    else {
      await this.#monitor.run(line.text, {
        print: (text) => this.#print(text),
        client: this.#client,
        waits: true,
        gone: this.#gone.signal,
      });
    }
    this.#print(PROMPT);
  }

  #print(text: string): void {
    this.#output.send(Buffer.from(toTerminal(text)));
  }
}

/** With the line ends that a terminal, and QEMU's monitor, have. */
export function toTerminal(text: string): string {
  return text.replaceAll("\n", "\r\n");
}
