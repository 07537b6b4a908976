import type { ErrorCode } from "./errors.ts";

/** What the reader of an error line needs to know beyond the line. `docs/troubleshooting.md` is made of these. */
export interface ErrorAdvice {
  /** What usually leads to it. Whole sentences. */
  readonly causes: string;
  /** What to do about it. Whole sentences, the first one begins with what to do. */
  readonly remedy: string;
  /** A message that really occurs, as it stands behind the code. */
  readonly example: string;
}

function advice(causes: string, remedy: string, example: string): ErrorAdvice {
  return { causes, remedy, example };
}

const DAMAGED =
  "Bytes were changed on the way or in the file, or it was written by a program that has a defect.";

const SEND_AGAIN =
  "Send the guest again: it runs on at its source. If it happens again, save the stream with `migrate NAME file:PATH` and look at it with `peregrine inspect PATH --verify`.";

/** One entry for each code, in the order of the table of codes. */
export const ERROR_ADVICE = {
  NOT_A_STREAM: advice(
    "Something else than a migration connected to the port, or the file is no stream: it is compressed, empty, or one of the channels of a multifd migration.",
    "Give the file that `peregrine checkpoint`, `migrate file:` or QEMU wrote. Let only the source connect to the port of a `receive`; another connection does no harm, and the source can connect after it.",
    "Not a migration stream (section 'header', byte 0)",
  ),
  UNSUPPORTED_VERSION: advice(
    "The stream is of a QEMU from before 2008, or its first bytes are damaged.",
    "Send the guest from a release of QEMU since 2.0, or take the stream from the source again.",
    "Unsupported migration stream version (section 'header', byte 4)",
  ),
  CONFIGURATION_MISSING: advice(
    "The source is a QEMU with an old machine type, and the destination waits for a program.",
    "Start the destination with `--machine image`, which takes streams without a configuration too.",
    "Configuration section missing",
  ),
  MACHINE_TYPE_MISMATCH: advice(
    "A virtual machine was sent to a destination that waits for a program, or the other way round.",
    "Start the destination for what is sent: `receive --machine image` for a virtual machine of QEMU, `--machine wasm` for a program. A QEMU has to be started with the machine type that the message names.",
    "Machine type received is 'pc-i440fx-7.2' and local is 'wasm-1'",
  ),
  UNKNOWN_SECTION: advice(
    "The source has a device that the destination was not given: a drive of the guest, or a device of a virtual machine.",
    "Give the destination the same drives and devices as the source has. Between two releases of Peregrine, bring the older one up to date.",
    "Unknown savevm section or instance 'wasm-drives' 0. Make sure that your current VM setup matches your saved VM setup, including any hotplugged devices",
  ),
  UNSUPPORTED_SECTION_VERSION: advice(
    "The source is a newer release than the destination.",
    "Install the source's release at the destination, and send the guest again.",
    "savevm: unsupported version 99 for 'wasi' v2",
  ),
  BAD_SECTION: advice(
    `${DAMAGED} With virtual machines of old machine types it may be that nothing tells where a device ends.`,
    SEND_AGAIN,
    "Unknown savevm section type 85",
  ),
  BAD_SECTION_ORDER: advice(
    `${DAMAGED} A file that was put together from parts of two streams looks like this, too.`,
    SEND_AGAIN,
    "The stream has no section 'ram'",
  ),
  BAD_FOOTER: advice(
    `${DAMAGED} The device before the place that the message names wrote more or fewer bytes than it was read with.`,
    `Use the same release of QEMU, and the same device options, at both ends if the guest is a virtual machine. ${SEND_AGAIN}`,
    "Missing section footer for timer",
  ),
  BAD_RAM_BLOCK: advice(
    "The guest's memory has another size or other parts than the destination was started with, or it is larger than an image may be.",
    "Start the destination with the memory and the memory devices of the source: a QEMU with the same `-m` and `-machine`.",
    'Unknown ramblock "vga.vram", cannot accept migration',
  ),
  BAD_RAM_PAGE: advice(
    `${DAMAGED} It is also said by \`inspect\` of a stream whose pages were sent on multifd channels that were not named.`,
    `Name the files of the channels behind the main stream where \`inspect\` says it. Otherwise: ${SEND_AGAIN.charAt(0).toLowerCase()}${SEND_AGAIN.slice(1)}`,
    "Illegal RAM offset 7000000",
  ),
  BAD_PACKET: advice(
    "Something that is no source connected to the port while several connections were awaited, or bytes were changed on the way.",
    "Let only the source reach the port, and send the guest again. With `inspect`, give each file of a channel once.",
    "Multifd channel 1 was opened twice",
  ),
  BAD_STREAM_COMMAND: advice(
    "The source has switched on something that is not taken here, such as postcopy, or it wants answers and the stream comes out of a file, a command or a pipe.",
    "Switch off at the source what the message names: `postcopy-ram`, or `return-path` for `exec:` and `fd:`.",
    "Command OPEN_RETURN_PATH came twice",
  ),
  BAD_RETURN_MESSAGE: advice(
    "What answered is no destination of a migration, or bytes were changed on the way.",
    "Check that the address is that of a `receive` or of a QEMU with `-incoming`, and migrate again: the guest runs on here.",
    "Unknown return path message type 77",
  ),
  LIMIT_EXCEEDED: advice(
    "The guest needs more memory than is free at the destination or than `--max-ram` allows there, or something in the stream is longer than anything of its kind.",
    "Allow more with `--max-ram`, or free memory at the destination. docs/LIMITS.md lists all other limits; one of those that is exceeded means a damaged stream.",
    "The guest needs 16 GiB of memory and no more than 4 GiB are accepted here: allow more with --max-ram, which is the free memory of the host unless it is given",
  ),
  TRUNCATED: advice(
    "The source was ended or gave up, the connection broke, or the file was not written to its end.",
    "Look at the source: its guest runs on there, and its own message says why it ended. A file that is cut off cannot be restored; `peregrine inspect --salvage` gets the memory out of it.",
    "The stream ended where a section type was expected: Input/output error",
  ),
  UNEXPECTED_DATA: advice(
    "Two streams follow each other in one file, or the peer has a defect.",
    "Cut the file where the message says, or give the offset of the second stream as `file:PATH,offset=N`.",
    "Unexpected data after the end of the stream",
  ),
  BAD_ADDRESS: advice(
    "The address is misspelt, or a part of it is missing: a port, a path, a command.",
    "Write it as docs/transports.md lists them: `tcp:HOST:PORT`, `unix:PATH`, `ws://HOST:PORT`, `file:PATH`, `exec:COMMAND`, `fd:NAME`.",
    "error parsing address '127.0.0.1'",
  ),
  UNKNOWN_SCHEME: advice(
    "What stands before the first colon is none of the transports; `rdma:` and `vsock:` are not built in.",
    "Begin the address with `tcp:`, `unix:`, `ws://`, `wss://`, `file:`, `exec:` or `fd:`.",
    "unknown migration protocol: rdma:b.example:4444",
  ),
  CONNECT_FAILED: advice(
    "Nobody listens there yet, the host or port is another one, or a firewall is between the two. For `file:`, the file has contents already.",
    "Start `peregrine receive` first and dial the address that it prints. `peregrine doctor URI` tells where it fails.",
    "Failed to connect to '127.0.0.1:4444': Connection refused",
  ),
  LISTEN_FAILED: advice(
    "Another process listens there, the address is none of this host, or the port is below 1024; or the host has no thread left for who is to listen.",
    "Take another port, or 0 for any that is free. `peregrine doctor URI --incoming` tells whether an address can be listened on. Where no thread can be started, raise the limit of processes (`ulimit -u`, `pids.max`).",
    "Failed to listen on '127.0.0.1:4444': Address already in use",
  ),
  CHANNEL_FAILED: advice(
    "The connection broke, the other process ended, or a command of `exec:` failed.",
    "Look at the other side, which names its own reason, and at the network between; then migrate again. The guest runs on at its source.",
    "Connection to '127.0.0.1:4444' failed: Connection reset by peer",
  ),
  CHANNEL_CUT: advice(
    "The other process was killed, or something between the two closed the connection. It may be an attack, so nothing that came last is believed.",
    "Look whether the other side still runs and what it says, then migrate again.",
    "Connection to '127.0.0.1:4444' failed: it ended without the end that TLS has, so it was cut or the peer died",
  ),
  TLS_FAILED: advice(
    "A certificate names another host, is out of date or comes from an authority that the other side does not know; or only one side has TLS.",
    "Run `peregrine doctor URI` with the same `--object` and `--tls-creds`: it shows both certificates and the flag that helps. docs/tls.md explains each text.",
    "No hostname available for TLS: 'unix:/run/in.sock' is no host, so name the one that the certificate has with tls-hostname",
  ),
  BAD_CREDENTIALS: advice(
    "A file of the directory is missing, is open to other users, or a key does not belong to its certificate.",
    "Put the files of docs/tls.md into the directory that the message names, keys with mode 600 or 640.",
    "'/etc/pki/peregrine/list.json' is not JSON",
  ),
  IN_PROGRESS: advice(
    "A migration of the same guest has been started and has not ended.",
    "Wait for it, or give it up with `peregrine cancel NAME`, and try again.",
    "There's a migration process in progress",
  ),
  BLOCKED: advice(
    "The program was started with `--no-migrate`, or it uses something for the moment that cannot travel.",
    "Start the program without `--no-migrate`, if the rewriter takes it; otherwise it has to stay on its host.",
    "State blocked by non-migratable device 'wasm-cpu': the guest was started with --no-migrate",
  ),
  CANCELLED: advice(
    "Somebody cancelled the migration: `peregrine cancel`, Ctrl-C in `peregrine migrate`, `--on-timeout cancel`, or a monitor's client.",
    "Migrate again when it suits: the guest runs on at its source.",
    "The migration was cancelled",
  ),
  WRONG_STATE: advice(
    "The command does not fit what the guest does at present: it is still awaited, has moved away, or has ended.",
    "Look with `peregrine info NAME` where the guest is, and give the command there.",
    "Guest is waiting for an incoming migration",
  ),
  PEER_REFUSED: advice(
    "The destination could not load the guest: it lacks a directory, a drive or memory, or has another release.",
    "Do what the destination's reason says, which follows in the message or stands in its own output, and migrate again. The guest runs on here.",
    "The destination 'tcp:127.0.0.1:4444' did not confirm within 30 s that it has loaded the guest",
  ),
  PEER_SILENT: advice(
    "The other process is frozen or its host is dead, or the network drops everything. A disk that is slow for seconds looks the same from the other side.",
    "Look at the other host. Where it is just slow, allow more with `--keepalive SECONDS` at both agents. The guest is at its source, unless UNDECIDED is said too.",
    "The destination 'tcp:127.0.0.1:4444' has said nothing for 5 s: it is dead, frozen or cut off",
  ),
  UNDECIDED: advice(
    "The connection broke in the moment of the hand-over, and no message can tell any more which side has the guest. Until you decide it stands still, and is never run twice.",
    "Look with `peregrine info NAME` at both sides. Then say it with `peregrine resolve NAME --as owner` on the one and `--as gone` on the other. docs/handover.md has the table.",
    "Nobody knows here who has the guest: look at the other side, and then use peregrine resolve",
  ),
  GUEST_ELSEWHERE: advice(
    "The guest moved away from this host before its agent ended, and is started a second time with the same `--state`, or its image is still in `--store`.",
    "Look for the guest where the message says. If it is not there any more, say so with the `peregrine resolve` that the message names, and start the agent anew. If it is an image that is there, remove its file from `--store`.",
    "The guest 'web' moved to tcp:10.0.0.2:4444 on 2026-11-03T09:14:07.331Z, so it is not started here; if it is to be, peregrine resolve web --as owner --state /var/lib/peregrine",
  ),
  LOAD_FAILED: advice(
    "The two sides do not have the same settings: `--parallel` at one of them only, or with other numbers.",
    "Give `--parallel N` at both ends, with the same N, or at none. Then migrate again.",
    "The source sends memory over multifd channels, which are off here: set multifd-channels as at the source",
  ),
  DEVICE_STATE: advice(
    "The guest's files are not at the destination as they were at the source, or it does something just now that cannot travel: it has a deleted file open, or too much console input waits.",
    "Make the same files available under the same paths, for example by NFS, and give the directories to `receive` with `--dir`. Then migrate again.",
    "The guest cannot be moved now: 2097152 bytes of console input wait for it, and 1048576 can travel; let it read some and migrate again",
  ),
  NO_SUCH_FILE: advice(
    "The path is misspelt or relative to another directory, or this user may not read the file.",
    "Give a path that exists, and read permission for the user of the agent.",
    "There is no file 'guest.stream' here and no guest of that name; name a file, a guest, or - for the standard input",
  ),
  WRITE_FAILED: advice(
    "The disk is full or read-only, this user may not write there, or the file is there already.",
    "Free space or name another file; with `inspect`, `--force` replaces one.",
    "'memory.bin' is there already; give another name or --force",
  ),
  NOT_WASM: advice(
    "The file is something else, such as a script, a native program or WebAssembly text.",
    "Build the program for `wasm32-wasip1` and give the resulting `.wasm` file.",
    "The program is not a valid WebAssembly module: expected magic word 00 61 73 6d",
  ),
  UNSUPPORTED_FEATURE: advice(
    "The module uses threads, several memories, 64-bit memory, exceptions or garbage collection, or it is a library.",
    "Build it without the feature that the message names. Where that is not possible, `run --no-migrate` runs it as it is, on this host only.",
    "The module exports no _start function: it is a library, not a command; build it as a WASI command",
  ),
  GUEST_TRAP: advice(
    "The program itself failed: an access outside of its memory, a division by zero, `unreachable`, or no stack left.",
    "Correct the program. If it ran out of stack, give more with `--stack MiB`, the same at each host.",
    "A data segment at 65536 does not fit into the program's memory",
  ),
  GUEST_ENDED: advice(
    "The program came to its end while it was being moved.",
    "Do nothing: its exit status is that of its agent, and there is nothing left to move.",
    "The guest ended during the migration, with exit status 0",
  ),
  STORE_FAILED: advice(
    "The disk of `--store` or `--state` is full or not writable. The source keeps its guest then.",
    "Free space or correct the permissions of the directory that the message names, and send the guest again.",
    "That the guest was taken cannot be recorded on this host",
  ),
  DRIVE_LOCKED: advice(
    "Another guest, a QEMU or a destination that failed a moment ago still has the image file.",
    "End who uses it, or name another file. After a failed migration wait some seconds and say `peregrine cont NAME`.",
    "The image file '/srv/db.img' of drive 'db' is in use by another process; end the guest or program that uses it, or name another file",
  ),
  NO_DRIVE_LOCKS: advice(
    "The package koffi is not installed, the system is not Linux, or the file system has no locks.",
    "Install Peregrine with its optional packages. If nobody else can use the image, `lock=off` in `--drive` does without.",
    "The drive's image file cannot be locked: the module koffi cannot be loaded (not found); with lock=off in --drive it is used without a lock, and nothing keeps two guests from writing to it",
  ),
  BAD_DRIVE: advice(
    "The destination has other drives than the guest: another id, another length, another backing file, or none.",
    "Give `receive` the same `--drive` as the guest has. The length has to be the same to the byte: `truncate -s SIZE FILE` makes such a file.",
    "Drive 'db' has no bytes; make its file as large as the drive is to be",
  ),
  BAD_PARAMETER: advice(
    "A value is out of its range or does not fit another one. The message names both.",
    "Give a value as the message says; `peregrine help COMMAND` lists what a flag takes, docs/COMMANDS.md what the monitor does.",
    "Two drives are named 'db'; give each a name of its own",
  ),
  BAD_COMMAND: advice(
    "What a client sent to the monitor is no command: broken JSON, an argument that is not known, or text where MessagePack is spoken.",
    "Correct the command; docs/COMMANDS.md lists the arguments of each, and `help` in the monitor for people.",
    "JSON parse error, too deeply nested",
  ),
  COMMAND_NOT_FOUND: advice(
    "The command is misspelt or of QEMU and not built here, or `qmp_capabilities` was not sent first.",
    "Send `qmp_capabilities` as the first command. `query-commands` lists the others.",
    "unknown command: 'migrte'",
  ),
  COMMAND_FAILED: advice(
    "The agent carried the command out as far as it could and refused the rest. The reason is in the message.",
    "Do what the message says; `peregrine info NAME` shows the state that the guest is in.",
    "There's a migration process in progress",
  ),
  NO_SUCH_GUEST: advice(
    "The guest has ended or moved away, or it belongs to another user or another runtime directory.",
    "Look with `peregrine list`. Under a service manager, set PEREGRINE_RUNTIME_DIR for the command as it is for the agent.",
    "No guest with the name 'web' runs here; peregrine list shows those that do",
  ),
  NAME_IN_USE: advice(
    "Another agent of this host has the name, or one that is just ending.",
    "Choose another one with `--name`, or end the other guest with `peregrine quit NAME`.",
    "A guest with the name 'web' runs already; take another --name",
  ),
  TOKEN_NEEDED: advice(
    "A monitor, or metrics, are to be opened at TCP or a WebSocket, without a token or with one that is too short or that others can read.",
    "Make a token with `openssl rand -hex 32`, put it into a file with mode 600, and give `--monitor-token-file FILE` or `--metrics-token-file FILE`. Or use a unix socket, which needs none.",
    "A monitor at 'tcp:0.0.0.0:4445' can be reached by others and needs a token: give --monitor-token-file FILE, set PEREGRINE_MONITOR_TOKEN, ask for certificates by --monitor-tls-creds, or listen on unix:PATH",
  ),
  ACCESS_DENIED: advice(
    "The token is missing or another one than the agent was started with.",
    "Give the agent's token with `--monitor-token-file FILE` or PEREGRINE_MONITOR_TOKEN.",
    "The monitor at 'tcp:127.0.0.1:4445' needs a token: give --monitor-token-file FILE or set PEREGRINE_MONITOR_TOKEN",
  ),
  EXEC_NOT_ALLOWED: advice(
    "An address with `exec:` runs a command of the shell, which nobody may who was not told so.",
    "Give `--allow-exec` to the command and, for `migrate`, to the agent of the guest as well, if running commands is meant.",
    "'exec:cat' runs a command of the shell; give --allow-exec if that is meant",
  ),
  NOT_FROM_NETWORK: advice(
    "A client over TCP or WebSocket named a file, a unix socket or a descriptor of the agent's host.",
    "Use the agent's unix socket. If such clients are to be trusted with the host's files, start the agent with `--allow-host-uris`.",
    "A client that comes over the network may name tcp:, ws: and wss: without files: use the agent's unix socket, or start it with --allow-host-uris",
  ),
  BAD_CONFIGURATION: advice(
    "The file of `--config` has a key that the command does not have, a value of another kind, or it is no TOML; or other users can write to it.",
    "Correct the line that the message names; docs/configuration.md lists the keys. The file has to be writable by its owner alone.",
    "/etc/peregrine/web.toml:3: the key 'nmae' is wrong: there is no such key",
  ),
  HOOK_FAILED: advice(
    "The command of `--on-arrival` or `--on-departure` ended with another status than 0, could not be started, or took too long.",
    "Look at the output of the command, which is that of the agent, and do by hand what it was to do. The guest is where it was, and a migration has succeeded all the same.",
    "The command of --on-arrival ended with status 1: /etc/peregrine/address up",
  ),
  USAGE: advice(
    "A flag is misspelt, misses its value, or excludes another one.",
    "Look at `peregrine help COMMAND`, which lists all flags of the command.",
    "A command is missing; see peregrine --help",
  ),
  INTERNAL: advice(
    "A defect of Peregrine. The line is followed by the place in the sources.",
    "Report it with the whole output and the command line. The guest is at its source, unless UNDECIDED is said too.",
    "the section 'ram' has parts and cannot be taken whole",
  ),
} as const satisfies Record<ErrorCode, ErrorAdvice>;
