import { setTimeout as delay } from "node:timers/promises";
import {
  MIGRATION_SETTINGS,
  REFUSED_CALLS,
  REFUSED_LINES,
  REFUSED_PARAMETERS,
  SPOKEN_LINES,
} from "./qmp-lines.ts";
import type { Answer, QmpWire } from "./qmp-wire.ts";

/** One side of the session: a guest that has not been started, and where it can go. */
export interface Cast {
  readonly source: QmpWire;
  /** Both wait to be told where they are to listen. */
  readonly firstDestination: QmpWire;
  readonly secondDestination: QmpWire;
  /** For sockets. */
  readonly directory: string;
}

/** What was asked, and what was answered. */
export interface Exchange {
  /** Unique in a session. */
  readonly asked: string;
  readonly answer: Answer;
}

/** What happened in a part of the session. */
export interface Episode {
  readonly name: string;
  readonly events: readonly { readonly event: string; readonly data?: unknown }[];
}

export interface Recording {
  readonly greeting: unknown;
  readonly exchanges: readonly Exchange[];
  readonly episodes: readonly Episode[];
}

/** Slow enough that a guest does not get away by itself, in bytes per second. */
const CRAWL = 20_000;

/** Plays the session, the same for whoever is behind the monitors. */
export async function playSession(cast: Cast): Promise<Recording> {
  const session = new Session(cast);
  await session.negotiate();
  await session.ask();
  await session.fail();
  await session.cancel();
  await session.move();
  return session.recording;
}

class Session {
  readonly #cast: Cast;
  #greeting: unknown;
  readonly #exchanges: Exchange[] = [];
  readonly #episodes: Episode[] = [];

  constructor(cast: Cast) {
    this.#cast = cast;
  }

  get recording(): Recording {
    return { greeting: this.#greeting, exchanges: this.#exchanges, episodes: this.#episodes };
  }

  async negotiate(): Promise<void> {
    const { source, firstDestination, secondDestination } = this.#cast;
    this.#greeting = await source.greeting();
    for (const line of [
      '{"execute":"query-status"}',
      '{"execute":"nope","id":1}',
      '{"execute":"qmp_capabilities","arguments":{"enable":"oob"}}',
      '{"execute":"qmp_capabilities","arguments":{"enable":[1]}}',
      '{"execute":"qmp_capabilities","arguments":{"enable":["nope"]}}',
      '{"execute":"qmp_capabilities","id":[1,{"a":null}]}',
      '{"execute":"qmp_capabilities","id":"again"}',
      ...REFUSED_LINES,
    ]) {
      this.#note(line, await source.send(line));
    }
    for (const destination of [firstDestination, secondDestination]) {
      await destination.greeting();
      await destination.execute("qmp_capabilities");
    }
  }

  /** Questions, and what is refused whatever the guest does. */
  async ask(): Promise<void> {
    const { source, firstDestination } = this.#cast;
    for (const command of [
      "query-status",
      "query-version",
      "query-name",
      "query-migrate",
      "query-migrate-parameters",
      "query-migrate-capabilities",
    ]) {
      await this.#call(source, command);
    }
    await this.#call(firstDestination, "query-status");
    await this.#call(firstDestination, "query-migrate");
    for (const [command, args] of REFUSED_CALLS) await this.#call(source, command, args);
    for (const [name, values] of REFUSED_PARAMETERS) {
      for (const value of values) await this.#call(source, "migrate-set-parameters", { [name]: value });
    }
    for (const args of MIGRATION_SETTINGS) await this.#call(source, "migrate-set-parameters", args);
    await this.#call(source, "query-migrate-parameters");
    for (const line of SPOKEN_LINES)
      await this.#call(source, "human-monitor-command", { "command-line": line });
  }

  /** Migrations to where nobody listens. */
  async fail(): Promise<void> {
    const { source, directory } = this.#cast;
    await this.#switchOn(source, "events");
    for (const uri of [`unix:${directory}/nobody`, "tcp:127.0.0.1:1"]) {
      await this.#call(source, "migrate", { uri });
      await this.#until(source, ["failed"], `after failing to reach ${uri}`);
      await this.#speak(source, "info migrate");
    }
    const address = { transport: "socket", type: "unix", path: `${directory}/nobody` };
    await this.#call(source, "migrate", {
      channels: [{ "channel-type": "main", addr: address }],
      detach: true,
    });
    await this.#until(source, ["failed"], "after failing to reach channels");
    this.#tell("failing", source);
  }

  /** A migration that is cancelled; the destination stays. */
  async cancel(): Promise<void> {
    const { source, firstDestination, directory } = this.#cast;
    const uri = `unix:${directory}/first`;
    await this.#switchOn(firstDestination, "events", "xbzrle", "return-path");
    await this.#switchOn(source, "xbzrle", "return-path");
    await this.#call(source, "migrate-set-parameters", { "max-bandwidth": CRAWL });
    await this.#call(firstDestination, "migrate-incoming", { uri, "exit-on-error": false });
    await this.#call(firstDestination, "migrate-incoming", { uri });
    await this.#call(firstDestination, "migrate", { uri: `unix:${directory}/elsewhere` });
    await this.#call(firstDestination, "query-migrate");
    await this.#call(source, "cont");
    await this.#call(source, "migrate", { uri });
    await this.#until(source, ["active"], "on the way");
    for (const line of [
      "info migrate",
      "info status",
      "migrate unix:/x",
      "migrate_set_capability events off",
    ]) {
      await this.#speak(source, line);
    }
    await this.#call(source, "migrate", { uri });
    await this.#call(source, "migrate-set-capabilities", { capabilities: [] });
    await this.#call(source, "migrate-continue", { state: "pre-switchover" });
    await this.#call(source, "migrate-set-parameters", { "max-bandwidth": CRAWL + 1 });
    await this.#call(source, "query-status");
    await this.#call(source, "migrate_cancel");
    await this.#until(source, ["cancelled"], "after a cancel");
    await this.#speak(source, "info migrate");
    await this.#call(source, "migrate_cancel");
    await this.#call(source, "query-status");
    await this.#until(firstDestination, ["failed"], "at the destination after a cancel");
    this.#tell("cancelling", source);
    this.#tell("being cancelled", firstDestination);
  }

  /** A migration that arrives, with a pause before the switchover. */
  async move(): Promise<void> {
    const { source, secondDestination, directory } = this.#cast;
    const uri = `unix:${directory}/second`;
    await this.#switchOn(secondDestination, "events", "xbzrle", "return-path");
    await this.#switchOn(source, "pause-before-switchover", "auto-converge");
    await this.#call(source, "migrate-set-parameters", { "max-bandwidth": 0, "downtime-limit": 2000 });
    await this.#call(secondDestination, "migrate-incoming", { uri });
    await this.#call(source, "migrate", { uri });
    await this.#until(source, ["pre-switchover"], "before the switchover");
    await this.#speak(source, "info migrate");
    await this.#call(source, "query-status");
    await this.#call(source, "cont");
    await this.#call(source, "migrate-continue", { state: "device" });
    await this.#call(source, "migrate-continue", { state: "nope" });
    await this.#call(source, "migrate-continue", { state: "pre-switchover" });
    await this.#until(source, ["completed"], "at the end");
    for (const line of ["info migrate", "info status"]) await this.#speak(source, line);
    await this.#call(source, "query-status");
    await this.#call(source, "migrate", { uri });
    await this.#call(source, "migrate_cancel");
    await this.#until(secondDestination, ["completed"], "at the destination at the end");
    await this.#call(secondDestination, "query-status");
    await this.#call(secondDestination, "migrate-incoming", { uri });
    await this.#call(secondDestination, "stop");
    await this.#call(secondDestination, "query-status");
    this.#tell("moving", source);
    this.#tell("arriving", secondDestination);
    await this.#call(secondDestination, "quit");
  }

  async #switchOn(wire: QmpWire, ...names: readonly string[]): Promise<void> {
    const capabilities = names.map((capability) => ({ capability, state: true }));
    await this.#call(wire, "migrate-set-capabilities", { capabilities });
  }

  async #call(wire: QmpWire, command: string, args?: Readonly<Record<string, unknown>>): Promise<void> {
    this.#note(
      `${this.#name(wire)}${command} ${JSON.stringify(args) ?? ""}`,
      await wire.execute(command, args),
    );
  }

  #speak(wire: QmpWire, line: string): Promise<void> {
    return this.#call(wire, "human-monitor-command", { "command-line": line });
  }

  /** Waits until the migration has one of these states, and notes the answer that told it. */
  async #until(wire: QmpWire, wanted: readonly string[], when: string): Promise<void> {
    for (;;) {
      const answer = await wire.execute("query-migrate");
      const { status } = answer.return as { readonly status?: string };
      if (status !== undefined && wanted.includes(status)) {
        this.#note(`${this.#name(wire)}query-migrate ${when}`, answer);
        return;
      }
      await delay(20);
    }
  }

  #tell(name: string, wire: QmpWire): void {
    const events = wire.takeEvents().map(({ event, data }) => ({ event, data }));
    this.#episodes.push({ name, events });
  }

  #name(wire: QmpWire): string {
    if (wire === this.#cast.source) return "";
    return wire === this.#cast.firstDestination ? "first: " : "second: ";
  }

  #note(text: string, answer: Answer): void {
    // Sockets are elsewhere in each session.
    const asked = text.replaceAll(this.#cast.directory, "DIRECTORY").trimEnd();
    const times = this.#exchanges.filter((one) => one.asked.replace(/ #\d+$/, "") === asked).length;
    this.#exchanges.push({ asked: times === 0 ? asked : `${asked} #${times + 1}`, answer });
  }
}
