import type { Channel } from "@peregrine/transport";
import { ClientOutput } from "../client-output.ts";
import { Conversation } from "../conversation.ts";
import { readLines } from "../lines.ts";
import type { Line } from "../lines.ts";
import type { MonitorLimits } from "../limits.ts";
import type { HumanMonitor } from "./human-monitor.ts";

const PROMPT = "(peregrine) ";

/** One person at the human monitor: plain lines, and a prompt before each. */
export class HumanSession {
  readonly #monitor: HumanMonitor;
  readonly #output: ClientOutput;
  readonly #conversation: Conversation<Line>;
  readonly #gone = new AbortController();

  constructor(channel: Channel, monitor: HumanMonitor, limits: MonitorLimits) {
    this.#monitor = monitor;
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
  run(): Promise<void> {
    this.#print(`${this.#monitor.greeting}\n${PROMPT}`);
    return this.#conversation.run();
  }

  /** Lets the command that is running answer, and drops the client. */
  close(): Promise<void> {
    return this.#conversation.close();
  }

  async #answer(line: Line): Promise<void> {
    if (line.kind === "bad") this.#print(`Error: ${line.error.message}\n`);
    else {
      await this.#monitor.run(line.text, {
        print: (text) => this.#print(text),
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
