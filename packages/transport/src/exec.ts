import { parseExecAddress } from "./address.ts";
import type { Transport } from "./channel.ts";
import { CommandInputChannel } from "./command-input.ts";
import { CommandOutputChannel } from "./command-output.ts";
import { Command } from "./command.ts";
import { SingleListener } from "./single-listener.ts";
import { requireWanted } from "./socket-connect.ts";

/**
 * `exec:COMMAND`: the stream is the standard input of a command, or its output. The command is run by `/bin/sh -c`
 * in the folder and with the environment of this process.
 */
export const exec: Transport = {
  parse: parseExecAddress,

  async connect(rest, { signal, ...options }) {
    const { command: text } = parseExecAddress(rest);
    requireWanted(signal, text);
    const command = await Command.start(text, ["pipe", "ignore", "inherit"], "CONNECT_FAILED");
    const channel = new CommandOutputChannel(command, options);
    if (signal?.aborted !== true) return channel;
    channel.destroy();
    await channel.closed;
    requireWanted(signal, text);
    return channel;
  },

  async listen(rest, options) {
    const address = parseExecAddress(rest);
    const command = await Command.start(address.command, ["ignore", "pipe", "inherit"], "LISTEN_FAILED");
    return new SingleListener(address, new CommandInputChannel(command, options));
  },
};
