import * as fc from "fast-check";
import { HumanMonitor } from "@peregrine/monitor";
import { createCommands } from "@peregrine/monitor";
import { FakeAgent } from "../../packages/monitor/test/fake-agent.ts";
import { MemoryChannel } from "../../packages/monitor/test/memory-channel.ts";
import { VERSION } from "../../packages/monitor/test/version.ts";
import { Login } from "../../packages/monitor/src/access/login.ts";
import { JsonConnection } from "../../packages/monitor/src/json-connection.ts";
import { DEFAULT_MONITOR_LIMITS, MAX_MESSAGE_DEPTH } from "../../packages/monitor/src/limits.ts";
import { LineDecoder } from "../../packages/monitor/src/lines.ts";
import { Session } from "../../packages/monitor/src/session.ts";
import { chunkSizes, mutate, mutations } from "../../packages/protocol/fuzz/mutation.ts";
import { require } from "../../packages/protocol/fuzz/oracle.ts";
import type { Allocations } from "../../packages/protocol/fuzz/oracle.ts";
import { chunked } from "../../packages/protocol/test/support.ts";

const LIMITS = { ...DEFAULT_MONITOR_LIMITS, outputBytes: 64 * 1024 * 1024 };
const COMMANDS = createCommands(new FakeAgent(), VERSION);
const NAMES = ["qmp_capabilities", ...COMMANDS.keys()];
const ARGUMENTS = [...COMMANDS.values()].flatMap(({ entries }) => Object.keys(entries));

const key = fc.oneof(
  fc.constantFrom(...ARGUMENTS),
  fc.constantFrom("__proto__", "constructor", "execute", "arguments", "id", "toString", ""),
  fc.string({ maxLength: 8 }),
);
const scalar = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    0,
    -1,
    1e300,
    2 ** 53,
    0.5,
    "",
    "tcp:127.0.0.1:1",
    "unix:",
    "fd:x",
    "on",
  ),
  fc.string({ maxLength: 40 }),
  fc.double(),
);
const value: fc.Arbitrary<unknown> = fc.oneof(
  scalar,
  fc.dictionary(key, scalar, { maxKeys: 4 }),
  fc.array(fc.oneof(scalar, fc.dictionary(key, scalar, { maxKeys: 3 })), { maxLength: 4 }),
);

/** A request as a client may send it, or nearly so. */
export const request: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 6, arbitrary: requestOf(fc.constantFrom(...NAMES)) },
  { weight: 1, arbitrary: requestOf(fc.oneof(key, fc.string())) },
  { weight: 1, arbitrary: fc.dictionary(key, value, { maxKeys: 5 }) },
  { weight: 1, arbitrary: value },
);

function requestOf(name: fc.Arbitrary<string>): fc.Arbitrary<unknown> {
  return fc.record(
    { execute: name, arguments: fc.dictionary(key, value, { maxKeys: 4 }), id: value },
    { requiredKeys: ["execute"] },
  );
}

const NEGOTIATION = '{"execute": "qmp_capabilities"}\n';

/** A line of text: JSON, nested as deep as somebody likes, or none at all. */
const line: fc.Arbitrary<string> = fc.oneof(
  { weight: 8, arbitrary: request.map((one) => JSON.stringify(one) ?? "") },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.nat(2 * MAX_MESSAGE_DEPTH), fc.constantFrom("[", '{"a":'), fc.constantFrom("", "1"))
      .map(([depth, open, inner]) => open.repeat(depth) + inner + (open === "[" ? "]" : "}").repeat(depth)),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 60 }) },
  { weight: 1, arbitrary: fc.nat(100_000).map((length) => `"${"x".repeat(length)}"`) },
);

/** Bytes that one client can have the session keep: a line, and what comes of it. */
const MOST_BYTES = 8 * LIMITS.objectBytes;

/** Lines of QMP: each is answered once, with JSON, however it is cut and whatever is in it. */
export function qmpProperty(allocations: Allocations): fc.IAsyncPropertyWithHooks<unknown> {
  return fc.asyncProperty(
    fc.array(line, { maxLength: 6 }),
    mutations,
    chunkSizes,
    fc.boolean(),
    async (lines, changes, sizes, negotiated) => {
      const text = Buffer.from((negotiated ? NEGOTIATION : "") + lines.map((one) => `${one}\n`).join(""));
      const ends = [...text.keys()].filter((at) => '{}[]":,\n'.includes(String.fromCharCode(text[at]!)));
      const bytes = mutate({ name: "lines", bytes: text, ends: [ends, [0]] }, changes);
      allocations.reset();
      const channel = new MemoryChannel(chunked(bytes, sizes));
      const session = new Session({
        connection: new JsonConnection(channel, LIMITS.objectBytes),
        commands: createCommands(new FakeAgent(), VERSION),
        version: VERSION,
        limits: LIMITS,
        login: new Login({ access: { kind: "owner" }, limits: LIMITS, hasRoom: () => true }),
      });
      await session.run();
      require(allocations.largest <= MOST_BYTES + 2 * bytes.length, `${allocations.largest} bytes at once`);
      const answers = channel.written
        .split("\r\n")
        .slice(0, -1)
        .map((one) => JSON.parse(one) as object);
      const [greeting, ...rest] = answers;
      require(greeting !== undefined && "QMP" in greeting, "no greeting");
      require(rest.every((one) => "return" in one || "error" in one), "an answer that is none");
      require(rest.length === requests(bytes), `${rest.length} answers to ${requests(bytes)} requests`);
    },
  );
}

/** Lines that are not blank, counted in another way. */
function requests(bytes: Uint8Array): number {
  const lines = Buffer.from(bytes).toString("latin1").split("\n").slice(0, -1);
  return lines.filter((one) => {
    const raw = Buffer.from(one, "latin1");
    if (raw.length > LIMITS.objectBytes) return true;
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(raw).trim() !== "";
    } catch {
      return true;
    }
  }).length;
}

const HUMAN_WORDS = [
  ..."help info migrate migrate_cancel migrate_set_speed migrate_set_parameter stop cont quit ?".split(" "),
  ..."-d -r -b on off status migrate_parameters capabilities xbzrle 100m 1.5g max-bandwidth tcp::1".split(
    " ",
  ),
  '"',
  '\\"',
  '"\\',
  "\\",
  '"a b"',
  "\u2028",
  "-",
];
const humanLine = fc.oneof(
  fc
    .array(fc.oneof(fc.constantFrom(...HUMAN_WORDS), fc.string({ maxLength: 12 })), { maxLength: 6 })
    .map((words) => words.join(" ")),
  fc.tuple(fc.constantFrom(...HUMAN_WORDS), fc.nat(30_000)).map(([word, times]) => word.repeat(times)),
  fc.string({ unit: "binary", maxLength: 80 }),
);

/** Lines of people: what is wrong with one is printed, and the next one is carried out. */
export function humanProperty(): fc.IAsyncPropertyWithHooks<unknown> {
  return fc.asyncProperty(
    fc.array(humanLine, { maxLength: 5 }),
    mutations,
    chunkSizes,
    async (lines, changes, sizes) => {
      const text = Buffer.from(lines.map((one) => `${one}\n`).join(""));
      const bytes = mutate({ name: "lines", bytes: text, ends: [[0], [text.length]] }, changes);
      const agent = new FakeAgent();
      const monitor = new HumanMonitor({
        agent,
        commands: createCommands(agent, VERSION),
        version: VERSION,
      });
      const decoder = new LineDecoder(LIMITS.objectBytes);
      let printed = 0;
      const terminal = {
        print: (shown: string): void => {
          printed += shown.length;
        },
        waits: false,
        client: {},
        gone: new AbortController().signal,
      };
      for (const chunk of chunked(bytes, sizes)) {
        for (const one of decoder.push(chunk)) {
          printed = 0;
          if (one.kind === "line") await monitor.run(one.text, terminal);
          require(printed <= 3 * LIMITS.objectBytes, `${printed} characters were printed for a line`);
        }
      }
    },
  );
}
