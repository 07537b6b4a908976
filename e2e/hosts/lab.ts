import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { attempt, run } from "../src/command.ts";
import type { Ended } from "../src/command.ts";

const WORKSPACE = fileURLToPath(new URL("../..", import.meta.url));

/** Where the hosts of a lab can leave something for each other: what `scp` does there. */
const MAIL = "/mnt/mail";

/**
 * Makes the file system of a host, and waits until its input ends: everything that it has made is in its own namespaces, and
 * goes with its last process. Of the host that the lab runs on everything can be read, and nothing is changed.
 */
const HOST = `
set -eu
mount -t tmpfs lab "$LAB"
mkdir "$LAB/upper" "$LAB/work" "$LAB/root"
mount -t overlay lab -o "lowerdir=/,upperdir=$LAB/upper,workdir=$LAB/work" "$LAB/root"
cd "$LAB/root"
mount -t proc proc proc
mount --rbind /dev dev
mount -t sysfs sysfs sys
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mkdir -p opt/peregrine mnt/mail
mount --bind "$WORKSPACE" opt/peregrine
# What is run is what was built of the sources: without them the commands take that.
mount -t tmpfs -o ro tmpfs opt/peregrine/packages/cli/src
mount -o remount,bind,ro opt/peregrine
mount --bind "$MAILBOX" mnt/mail
hostname "$NAME"
# There is no ssh: what is sent is brought by whoever runs the lab.
cat >usr/local/bin/scp <<'END'
#!/bin/sh
for last; do :; done
shift_last() { while [ $# -gt 1 ]; do printf '%s\\n' "$1"; shift; done; }
to="${MAIL}/\${last%%:*}\${last#*:}"
mkdir -p "$to"
shift_last "$@" | while read -r file; do case $file in -*) ;; *) cp -R "$file" "$to" ;; esac; done
END
chmod 755 usr/local/bin/scp
# Made by earlier runs, or by whoever works on this machine.
rm -rf etc/peregrine var/lib/peregrine var/cache/peregrine usr/local/bin/peregrine root/authority
echo ready
exec chroot . cat
`;

/** A network namespace, held by a process. It is gone when the process is. */
class Namespace {
  readonly child: ChildProcess;
  readonly #ready: Promise<unknown>;
  #pid = 0;

  constructor(flags: readonly string[], script: string, environment: Readonly<Record<string, string>>) {
    this.child = spawn("unshare", ["--net", "--propagation", "private", ...flags, "sh", "-c", script], {
      env: { ...process.env, ...environment },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#ready = Promise.race([
      once(this.child.stdout!, "data"),
      once(this.child, "exit").then(() => Promise.reject(new Error("a namespace cannot be made"))),
    ]);
  }

  async ready(): Promise<void> {
    await this.#ready;
    const { pid } = this.child;
    // With a namespace of processes it is the child that is in there.
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    this.#pid = children === "" ? pid! : Number(children.split(" ")[0]);
  }

  get pid(): number {
    return this.#pid;
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, "exit");
    this.child.stdin!.end();
    await gone;
  }
}

/** One host: a network, a file system, a name and processes of its own. */
export class LabHost {
  readonly name: string;
  readonly #namespace: Namespace;

  constructor(name: string, namespace: Namespace) {
    this.name = name;
    this.#namespace = namespace;
  }

  get pid(): number {
    return this.#namespace.pid;
  }

  /** Runs commands as root of this host. */
  sh(commands: string): Promise<Ended> {
    return attempt([...this.#enter(), "sh", "-e", "-c", commands], { timeout: 300_000 });
  }

  /** The same for a process that goes on until it is ended from outside. */
  start(commands: string): ChildProcess {
    const [program, ...args] = [...this.#enter(), "sh", "-c", commands];
    return spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  }

  #enter(): [string, ...string[]] {
    const { pid } = this;
    const variables = [
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "HOME=/root",
      "TERM=dumb",
    ];
    const target = [
      "--target",
      String(pid),
      "--all",
      `--root=/proc/${pid}/root`,
      `--wd=/proc/${pid}/root/root`,
    ];
    return ["nsenter", ...target, "env", "--ignore-environment", ...variables];
  }
}

export interface LabOptions {
  /** Names and addresses with the length of their network's prefix. */
  readonly hosts: Readonly<Record<string, string>>;
  /** What each host can send, as `tc` says it. */
  readonly rate: string;
}

/** Hosts that are joined by a switch. Needs root. */
export class Lab implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "peregrine-lab-"));
  readonly #mailbox = join(this.#directory, "mail");
  readonly #namespaces: Namespace[] = [];
  readonly #hosts = new Map<string, LabHost>();
  #switch: Namespace | undefined;

  private constructor() {
    mkdirSync(this.#mailbox);
  }

  static async create({ hosts, rate }: LabOptions): Promise<Lab> {
    const lab = new Lab();
    try {
      await lab.#make(hosts, rate);
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  host(name: string): LabHost {
    return this.#hosts.get(name)!;
  }

  /** Pulls the cable of a host, or plugs it in again. */
  async link(name: string, state: "up" | "down"): Promise<void> {
    await this.#onSwitch(["ip", "link", "set", `to-${name}`, state]);
  }

  /** Brings what hosts have sent each other. */
  async deliver(): Promise<void> {
    for (const host of this.#hosts.values()) {
      const box = `${MAIL}/${host.name}.example`;
      const { status, stderr } = await host.sh(
        `if test -d ${box}; then cp -R ${box}/. / && rm -r ${box}; fi`,
      );
      if (status !== 0) throw new Error(`what was sent to ${host.name} cannot be brought: ${stderr}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#namespaces.map((namespace) => namespace.close()));
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #make(hosts: LabOptions["hosts"], rate: string): Promise<void> {
    this.#switch = new Namespace([], "echo ready; exec cat", {});
    this.#namespaces.push(this.#switch);
    await this.#switch.ready();
    await this.#onSwitch(["ip", "link", "add", "switch", "type", "bridge"]);
    await this.#onSwitch(["ip", "link", "set", "switch", "up"]);
    for (const [name, address] of Object.entries(hosts)) await this.#addHost(name, address, rate);
  }

  async #addHost(name: string, address: string, rate: string): Promise<void> {
    const directory = join(this.#directory, name);
    mkdirSync(directory);
    const flags = ["--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"];
    const environment = { LAB: directory, WORKSPACE, MAILBOX: this.#mailbox, NAME: name };
    const namespace = new Namespace(flags, HOST, environment);
    this.#namespaces.push(namespace);
    await namespace.ready();
    const host = new LabHost(name, namespace);
    this.#hosts.set(name, host);
    const peer = ["peer", "name", "eth0", "netns", String(namespace.pid)];
    await this.#onSwitch(["ip", "link", "add", `to-${name}`, "type", "veth", ...peer]);
    await this.#onSwitch(["ip", "link", "set", `to-${name}`, "master", "switch", "up"]);
    const { status, stderr } = await host.sh(`
      ip link set lo up
      ip address add ${address} dev eth0
      ip link set eth0 up
      tc qdisc add dev eth0 root tbf rate ${rate} burst 256kb latency 100ms
    `);
    if (status !== 0) throw new Error(`the network of ${name} cannot be made: ${stderr}`);
  }

  async #onSwitch(command: readonly string[]): Promise<void> {
    await run(["nsenter", "--target", String(this.#switch!.pid), "--net", ...command]);
  }
}

const TOOLS = ["ip", "tc", "unshare", "nsenter", "setpriv", "openssl", "socat", "useradd", "sysctl", "pgrep"];

/** Why no lab can be made here. */
export async function whyNoLab(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "they need root";
  const found = await attempt([
    "sh",
    "-c",
    `for tool in ${TOOLS.join(" ")}; do command -v $tool >/dev/null || echo $tool; done`,
  ]);
  const missing = found.stdout.trim().split("\n").join(", ");
  if (missing !== "") return `not there: ${missing}; see scripts/install-lab.sh`;
  const tried = await attempt([
    "unshare",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "ip",
    "link",
    "add",
    "type",
    "bridge",
  ]);
  return tried.status === 0 ? undefined : `no network namespaces can be made: ${tried.stderr.trim()}`;
}
