/** What is to be known of the commands beyond their options: for man pages and help. */

/** A name and what it means. */
export interface Note {
  readonly name: string;
  readonly text: string;
}

export const ENVIRONMENT: readonly Note[] = [
  {
    name: "PEREGRINE_RUNTIME_DIR",
    text: "where the agents of this user listen; without it $XDG_RUNTIME_DIR/peregrine, else /tmp/peregrine-UID",
  },
  {
    name: "PEREGRINE_MONITOR_TOKEN",
    text: "the token of monitors over TCP and WebSocket; --monitor-token-file goes before it",
  },
  {
    name: "XDG_CACHE_HOME",
    text: "where rewritten programs are kept, in the directory peregrine; without it ~/.cache",
  },
];

export const FILES: readonly Note[] = [
  { name: "RUNTIME/NAME.sock", text: "the monitor of the guest NAME, with the mode 0600" },
  {
    name: "RUNTIME/NAME.completed.json",
    text: "what is known of its last migration when its agent has ended",
  },
];

const AGENT_STATUSES: readonly Note[] = [
  { name: "the program's own", text: "the program ended" },
  { name: "0", text: "the guest has moved away, or quit" },
  { name: "1", text: "an error, or no guest arrived" },
  { name: "2", text: "the command line could not be understood" },
  { name: "134", text: "the program trapped" },
  { name: "129, 130, 143", text: "SIGHUP, SIGINT, SIGTERM" },
];

const STATUSES: readonly Note[] = [
  { name: "0", text: "it was done; of migrate: the guest has moved" },
  { name: "1", text: "an error, which is one line with a code" },
  { name: "2", text: "the command line could not be understood" },
];

const AGENTS = ["run", "receive", "restore", "relay", "source-agent", "dest-agent"];

export function exitStatuses(command: string): readonly Note[] {
  return AGENTS.includes(command) ? AGENT_STATUSES : STATUSES;
}

/** Whole command lines. */
const EXAMPLES: Readonly<Record<string, readonly Note[]>> = {
  run: [
    {
      name: "peregrine run counter.wasm --name web --dir ./data::/data -- /data/progress",
      text: "runs a program that sees ./data as /data",
    },
  ],
  receive: [
    {
      name: "peregrine receive tcp:0.0.0.0:4444 --name web --dir /srv/data::/data",
      text: "waits for a program, and gives it the same directory from here",
    },
    {
      name: "peregrine receive tcp:0.0.0.0:4444 --machine image --name vm1 --store /var/lib/peregrine",
      text: "waits for a virtual machine of QEMU, and keeps it on disk",
    },
  ],
  relay: [
    {
      name: "peregrine relay tcp:0.0.0.0:4444 tcp:other-host:4445 --xbzrle --bandwidth 20M",
      text: "sends a virtual machine on with deltas, at most 20 MiB a second",
    },
  ],
  migrate: [
    {
      name: "peregrine migrate web tcp:other-host:4444 --downtime 50",
      text: "moves web, which may stand still for 50 ms",
    },
    {
      name: "peregrine migrate web tcp:other-host:4444 --auto-converge --timeout 60 --on-timeout force",
      text: "slows web down as far as it takes, and stops it after a minute for what is left",
    },
  ],
  checkpoint: [
    {
      name: "peregrine checkpoint web web.stream --leave-running",
      text: "copies web into a file; it goes on here",
    },
  ],
  restore: [
    {
      name: "peregrine restore web.stream --name web-2",
      text: "runs what is in the file, under another name",
    },
  ],
  doctor: [
    {
      name: "peregrine doctor tcp:other-host:4444",
      text: "tells whether a migration could go there, and what is wrong",
    },
  ],
  inspect: [
    { name: "peregrine inspect web.stream", text: "shows sections, passes and devices of a stream" },
    { name: "peregrine inspect web.stream --verify", text: "checks everything that is in it" },
  ],
  resolve: [
    {
      name: "peregrine resolve web --peer web-2",
      text: "shows what both sides know, and changes nothing",
    },
  ],
  monitor: [{ name: "peregrine monitor web", text: "opens the monitor of web at the terminal" }],
  help: [
    { name: "peregrine help migrate", text: "what peregrine migrate --help shows" },
    { name: "peregrine help PEER_REFUSED", text: "what the code of an error means, and what to do" },
  ],
  completion: [
    {
      name: "peregrine completion bash",
      text: "prints what bash has to read; in ~/.bashrc: source <(peregrine completion bash)",
    },
  ],
  "source-agent": [
    {
      name: "source-agent counter.wasm --name web --state /var/lib/peregrine",
      text: "as peregrine run, for a service manager",
    },
  ],
  "dest-agent": [
    {
      name: "dest-agent tcp:10.0.0.2:4444 --name web --state /var/lib/peregrine",
      text: "as peregrine receive, for a service manager",
    },
  ],
};

export function examplesOf(command: string): readonly Note[] {
  return EXAMPLES[command] ?? [];
}

/** The headings of `peregrine --help`. Commands that are not here stand under one of their own. */
const GROUPS: readonly (readonly [heading: string, commands: readonly string[]])[] = [
  ["Run and move:", ["run", "receive", "migrate", "relay", "cancel"]],
  ["Files:", ["checkpoint", "restore", "inspect"]],
  ["Look and control:", ["list", "info", "monitor", "stop", "cont", "quit", "resolve"]],
  ["Find out:", ["doctor", "help", "completion"]],
];

export function groupOf(command: string): string | undefined {
  return GROUPS.find(([, commands]) => commands.includes(command))?.[0];
}
