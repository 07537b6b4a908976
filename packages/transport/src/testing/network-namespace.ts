import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";

const run = promisify(execFile);
const IP = ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"].find((path) => existsSync(path));

/** Whether namespaces cannot be made here: it takes Linux, root and iproute2. */
export const noNamespaces = process.platform !== "linux" || process.getuid?.() !== 0 || IP === undefined;

/** Each process, and each worker thread of a test run, has its own networks of 198.18.0.0/15, which are for tests. */
let made = 0;

/** Another host, as far as the network is concerned: a namespace with one link to this one, which can be cut. */
export class NetworkNamespace implements AsyncDisposable {
  /** Of the other host. */
  readonly address: string;
  /** What a command is started with to run there. */
  readonly prefix: readonly string[];
  readonly #name: string;

  private constructor(name: string, address: string) {
    this.#name = name;
    this.address = address;
    this.prefix = [IP!, "netns", "exec", name];
  }

  static async create(): Promise<NetworkNamespace> {
    const which = (process.pid * 16 + made++) % (1 << 15);
    const name = `pg${which}`;
    const own = which * 4 + 1;
    const at = (host: number): string => `198.${18 + (host >> 16)}.${(host >> 8) & 255}.${host & 255}`;
    const namespace = new NetworkNamespace(name, at(own + 1));
    await ip("netns", "add", name);
    try {
      await ip("link", "add", `${name}a`, "type", "veth", "peer", "name", `${name}b`, "netns", name);
      await ip("address", "add", `${at(own)}/30`, "dev", `${name}a`);
      await ip("link", "set", `${name}a`, "up");
      await ip("-netns", name, "address", "add", `${at(own + 1)}/30`, "dev", `${name}b`);
      await ip("-netns", name, "link", "set", `${name}b`, "up");
    } catch (error) {
      await namespace[Symbol.asyncDispose]();
      throw error;
    }
    return namespace;
  }

  /** From now on nothing gets through, and nobody is told. */
  async cut(): Promise<void> {
    await ip("-netns", this.#name, "link", "set", `${this.#name}b`, "down");
  }

  async mend(): Promise<void> {
    await ip("-netns", this.#name, "link", "set", `${this.#name}b`, "up");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await ip("link", "delete", `${this.#name}a`).catch(() => undefined);
    await ip("netns", "delete", this.#name);
  }
}

async function ip(...args: readonly string[]): Promise<void> {
  await run(IP!, args);
}
