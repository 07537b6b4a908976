import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FakeAgent } from "../test/fake-agent.ts";
import { MemoryChannel } from "../test/memory-channel.ts";
import { createCommands } from "./commands.ts";
import { JsonConnection } from "./json-connection.ts";
import { DEFAULT_MONITOR_LIMITS } from "./limits.ts";
import { Session } from "./session.ts";
import { ownerLogin } from "../test/owner-login.ts";
import { VERSION } from "../test/version.ts";

/** What the monitor answers when its input comes in these chunks. */
async function answers(chunks: readonly Uint8Array[]): Promise<unknown[]> {
  const channel = new MemoryChannel(chunks);
  const limits = { ...DEFAULT_MONITOR_LIMITS, objectBytes: 200 };
  const connection = new JsonConnection(channel, limits.objectBytes);
  const commands = createCommands(new FakeAgent(), VERSION);
  await new Session({ connection, login: ownerLogin(), commands, version: VERSION, limits }).run();
  const lines = channel.written.split("\r\n");
  expect(lines.pop()).toBe("");
  return lines.map((line) => JSON.parse(line) as unknown);
}

function refusal(desc: unknown, errorClass = "GenericError"): unknown {
  return { error: { class: errorClass, desc } };
}

const GREETING = { QMP: { version: VERSION, capabilities: [] } };

describe("the input of a session", () => {
  const text = [
    '{"execute": "qmp_capabilities", "id": "é"}',
    "",
    '{"execute": "query-status", "id": [1, {"two": null}]} \r',
    "{broken",
    '{"execute": "stop"}',
    "x".repeat(300),
    '{"execute": "query-status", "arguments": {}}',
    "no newline at the end",
  ].join("\n");
  const expected = [
    GREETING,
    { return: {}, id: "é" },
    { return: { status: "running", running: true }, id: [1, { two: null }] },
    refusal(expect.stringMatching(/^JSON parse error, /u)),
    { return: {} },
    refusal("JSON parse error, a line is longer than 200 bytes"),
    { return: { status: "paused", running: false } },
  ];

  test("may be cut at any byte", async () => {
    const bytes = Buffer.from(text);
    for (let split = 0; split <= bytes.length; split++) {
      expect(await answers([bytes.subarray(0, split), bytes.subarray(split)])).toEqual(expected);
    }
  });

  test("may come byte by byte", async () => {
    expect(await answers([...Buffer.from(text)].map((byte) => Uint8Array.of(byte)))).toEqual(expected);
  });
});

test("a client that takes nothing is dropped before more than the limit waits for it", async () => {
  const channel = new MemoryChannel([Buffer.from('{"execute": "qmp_capabilities"}\n')]);
  const limits = { ...DEFAULT_MONITOR_LIMITS, outputBytes: 1000 };
  const connection = new JsonConnection(channel, limits.objectBytes);
  const commands = createCommands(new FakeAgent(), VERSION);
  const session = new Session({ connection, login: ownerLogin(), commands, version: VERSION, limits });
  const taken = Promise.withResolvers<void>();
  channel.taken = taken.promise;
  await session.run();
  const timestamp = { seconds: 1, microseconds: 2 };
  for (let event = 0; event < 100; event++) session.sendEvent({ event: "RESUME" }, timestamp);
  expect(channel.written.length).toBeLessThanOrEqual(1000);
  expect(channel.error).toMatchObject({
    code: "LIMIT_EXCEEDED",
    message: "The monitor's client left more than 1000 bytes unread",
  });
  taken.resolve();
});

describe("the envelope of a command", () => {
  test.each([
    ["[]", "QMP input must be a JSON object"],
    ["null", "QMP input must be a JSON object"],
    ['"stop"', "QMP input must be a JSON object"],
    ["{}", "QMP input lacks member 'execute'"],
    ['{"execute": 1}', "QMP input member 'execute' must be a string"],
    ['{"execute": "stop", "arguments": []}', "QMP input member 'arguments' must be an object"],
    ['{"execute": "stop", "arguments": null}', "QMP input member 'arguments' must be an object"],
    ['{"exec-oob": "stop"}', "QMP input member 'exec-oob' is unexpected"],
  ])("%s is refused", async (line, desc) => {
    const input = Buffer.from(`${line}\n`);
    expect(await answers([input])).toEqual([GREETING, refusal(desc)]);
  });

  test("an id is echoed with a refusal too", async () => {
    const input = Buffer.from('{"execute": 1, "id": false}\n');
    expect(await answers([input])).toEqual([
      GREETING,
      { error: { class: "GenericError", desc: "QMP input member 'execute' must be a string" }, id: false },
    ]);
  });
});

describe("negotiation", () => {
  const inputs = {
    negotiate: '{"execute": "qmp_capabilities"}',
    negotiateNothing: '{"execute": "qmp_capabilities", "arguments": {"enable": []}}',
    negotiateMore: '{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}',
    known: '{"execute": "query-name"}',
    unknown: '{"execute": "nope"}',
    broken: "{",
  } as const;
  type Input = keyof typeof inputs;

  /** What the monitor must answer, and whether the client is past the negotiation afterwards. */
  function model(negotiated: boolean, input: Input): { answer: unknown; negotiated: boolean } {
    if (input === "broken")
      return { answer: refusal(expect.stringMatching(/^JSON parse error/u)), negotiated };
    if (negotiated) {
      if (input === "known") return { answer: { return: { name: "lua" } }, negotiated };
      const desc =
        input === "unknown"
          ? "The command nope has not been found"
          : "Capabilities negotiation is already complete, command ignored";
      return { answer: refusal(desc, "CommandNotFound"), negotiated };
    }
    if (input === "negotiate" || input === "negotiateNothing")
      return { answer: { return: {} }, negotiated: true };
    if (input === "negotiateMore") {
      return { answer: refusal("Parameter 'enable' does not accept value 'oob'"), negotiated };
    }
    const desc = "Expecting capabilities negotiation with 'qmp_capabilities'";
    return { answer: refusal(desc, "CommandNotFound"), negotiated };
  }

  test("follows its model", async () => {
    const sequence = fc.array(fc.constantFrom(...(Object.keys(inputs) as Input[])), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(sequence, async (steps) => {
        const expected: unknown[] = [GREETING];
        let negotiated = false;
        for (const step of steps) {
          const next = model(negotiated, step);
          expected.push(next.answer);
          negotiated = next.negotiated;
        }
        const input = Buffer.from(steps.map((step) => `${inputs[step]}\n`).join(""));
        expect(await answers([input])).toEqual(expected);
      }),
    );
  });
});
