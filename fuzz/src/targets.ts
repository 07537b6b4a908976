import { TARGETS as DECODERS } from "../../packages/protocol/fuzz/targets.ts";
import type { Target } from "../../packages/protocol/fuzz/targets.ts";

const MIB = 2 ** 20;

/** Loads a target when it is its turn: each brings much of the house along. */
const late =
  <Module>(
    load: () => Promise<Module>,
    property: (module: Module) => Target["property"],
  ): Target["property"] =>
  async (allocations) =>
    property(await load())(allocations);

/** Everything that reads from outside. */
export const TARGETS: readonly Target[] = [
  ...DECODERS,
  {
    name: "described-loader",
    share: 2,
    property: late(
      () => import("./loader-target.ts"),
      (module) => module.describedProperty,
    ),
  },
  {
    name: "expected-pages",
    share: 2,
    property: late(
      () => import("./expected-pages-target.ts"),
      (module) => module.expectedPagesProperty,
    ),
  },
  {
    name: "carried-loader",
    share: 3,
    mostHeld: 256 * MIB,
    property: late(
      () => import("./loader-target.ts"),
      (module) => module.carriedProperty,
    ),
  },
  {
    name: "channel-load",
    share: 2,
    mostHeld: 256 * MIB,
    property: late(
      () => import("./channel-load-target.ts"),
      (module) => module.channelLoadProperty,
    ),
  },
  {
    name: "qmp",
    share: 2,
    property: late(
      () => import("./qmp-target.ts"),
      (module) => module.qmpProperty,
    ),
  },
  {
    name: "human",
    share: 1,
    property: late(
      () => import("./qmp-target.ts"),
      (module) => module.humanProperty,
    ),
  },
  {
    name: "message-pack",
    share: 1,
    property: late(
      () => import("./message-pack-target.ts"),
      (module) => module.messagePackProperty,
    ),
  },
  {
    name: "web-socket",
    share: 2,
    property: late(
      () => import("./web-socket-target.ts"),
      (module) => module.webSocketProperty,
    ),
    end: async () => (await import("./web-socket-target.ts")).endServers(),
  },
  {
    name: "tls-verdict",
    share: 1,
    property: late(
      () => import("./tls-target.ts"),
      (module) => module.verdictProperty,
    ),
  },
  {
    name: "tls-records",
    share: 1,
    property: late(
      () => import("./tls-target.ts"),
      (module) => module.recordsProperty,
    ),
  },
  {
    name: "rewriter",
    share: 2,
    property: late(
      () => import("./wasm-target.ts"),
      (module) => module.rewriterProperty,
    ),
  },
  {
    name: "wasm-state",
    share: 1,
    property: late(
      () => import("./wasm-state-target.ts"),
      (module) => module.wasmStateProperty,
    ),
  },
];
