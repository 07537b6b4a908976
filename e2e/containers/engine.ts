import { succeeds } from "../src/command.ts";

/** What runs containers here. */
export interface Engine {
  readonly name: "docker" | "podman";
  /** The command that takes compose files. */
  readonly compose: readonly string[];
  /** Of `build`: the network is needed for the registry, and health checks are part of the image. */
  readonly buildFlags: readonly string[];
  /** Of `run`. */
  readonly runFlags: readonly string[];
}

const DOCKER: Engine = {
  name: "docker",
  compose: ["docker", "compose"],
  buildFlags: ["--network", "host"],
  runFlags: [],
};

/** What a host without privileges of its own allows, such as a virtual machine or another container. */
const LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"] as const;

const PODMAN: Engine = {
  name: "podman",
  compose: ["podman-compose"],
  // Each layer would be written to the disk by itself.
  buildFlags: ["--network", "host", "--format", "docker", "--layers=false", ...LIMITS],
  runFlags: LIMITS,
};

/** The engine of this host, or why there is none. */
export async function findEngine(): Promise<Engine | string> {
  const docker = await succeeds(["docker", "info"]);
  if (docker && (await succeeds(["docker", "compose", "version"]))) return DOCKER;
  if (!(await succeeds(["podman", "info"]))) return "neither docker nor podman answers here";
  if (!(await succeeds(["podman-compose", "--version"]))) return "podman is here, and podman-compose is not";
  return PODMAN;
}
