import type { CommandTable, EventSource } from "@peregrine/monitor";
import { MigrationError } from "@peregrine/protocol";

/** A monitor's client, or the monitor's commands themselves. */
export interface GuestLink {
  /** Carries out one command. Errors: those of the command; CHANNEL_FAILED when the agent is gone. */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** That something has happened. */
  readonly events: EventSource<unknown>;
  /** Resolves when the agent can no longer be asked. */
  readonly closed: Promise<void>;
  close(): Promise<void>;
}

/** A guest that there is, and how its agent is reached. */
export interface KnownGuest {
  /** The same for as long as it is the same agent. */
  readonly id: string;
  /** Where it is, for a person: `this host`, or the address of its monitor. */
  readonly place: string;
  /** Errors: as those of a monitor's client. */
  open(): Promise<GuestLink>;
}

/** Finds guests. Is asked again and again. Never rejects. */
export type FindGuests = () => Promise<readonly KnownGuest[]>;

/**
 * The agent in this process. Its client is one over the network, as pages are.
 * @param ended resolves when the agent is no longer to be asked.
 */
export function localLink(commands: CommandTable, events: EventSource, ended: Promise<unknown>): GuestLink {
  const left = Promise.withResolvers<void>();
  const client = { isOwner: false, closed: left.promise };
  return {
    execute: async (name, args = {}) => {
      const command = commands.get(name);
      if (command === undefined) {
        throw new MigrationError("COMMAND_NOT_FOUND", `The command ${name} has not been found`);
      }
      return command.run(args, client);
    },
    events,
    closed: ended.then(() => undefined),
    close: async () => left.resolve(),
  };
}
