import { copyFile, mkdir, mkdtemp, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { attempt, run } from "../src/command.ts";
import type { Engine } from "./engine.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The file system of a small Debian, which takes a minute to make. */
const CACHE = join(ROOT, "node_modules/.cache/base-image/bookworm.tar");

/** As the image of Node for Debian has it. */
const NPM = "npm@11";

const NOT_IN_IMAGE = [
  "./proc/*",
  "./sys/*",
  "./dev/*",
  "./var/cache/apt/*",
  "./var/lib/apt/lists/*",
  "./var/log/*",
];
const NOT_NEEDED = ["./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*", "./usr/share/info/*"];

/** The image that a Dockerfile begins with, as its argument says. */
export async function baseTag(dockerfile: string): Promise<string> {
  const match = /^ARG NODE_IMAGE=(?<tag>\S+)$/mu.exec(await readFile(dockerfile, "utf8"));
  if (match?.groups === undefined) throw new Error(`${dockerfile} does not say what it begins with`);
  return match.groups["tag"]!;
}

/**
 * Sees to it that the base image is there: as it is, else from its registry, else made of Debian's packages and the Node of
 * this workspace, with the same tag. @returns whether it was made or pulled here, so that it can be removed.
 */
export async function provideBase(engine: Engine, tag: string): Promise<boolean> {
  const inspected = await attempt([engine.name, "image", "inspect", tag]);
  if (inspected.status === 0) return false;
  const pulled = await attempt([engine.name, "pull", "--quiet", tag]);
  if (pulled.status === 0) return true;
  process.stderr.write(
    `${tag} cannot be pulled here; it is made of Debian's packages and this workspace's Node\n`,
  );
  const work = await mkdtemp(join(tmpdir(), "peregrine-base-"));
  try {
    await makeBase(engine, tag, work);
    return true;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function makeBase(engine: Engine, tag: string, work: string): Promise<void> {
  const root = join(work, "root");
  await mkdir(root);
  if (existsSync(CACHE)) {
    await run(["tar", "-C", root, "-xf", CACHE]);
  } else {
    await run(["debootstrap", "--variant=minbase", "bookworm", root]);
    await mkdir(dirname(CACHE), { recursive: true });
    const made = `${CACHE}.${process.pid}`;
    const left = [...NOT_IN_IMAGE, ...NOT_NEEDED].map((pattern) => `--exclude=${pattern}`);
    await run(["tar", "-C", root, ...left, "-cf", made, "."]);
    await rename(made, CACHE);
    await rm(root, { recursive: true });
    await mkdir(root);
    await run(["tar", "-C", root, "-xf", CACHE]);
  }
  await mkdir(join(root, "usr/local/bin"), { recursive: true });
  await copyFile(await realpath(process.execPath), join(root, "usr/local/bin/node"));
  await run(["npm", "install", "--global", "--silent", "--prefix", join(root, "usr/local"), NPM]);
  await run(["chroot", root, "useradd", "--uid", "1000", "--create-home", "node"]);
  const variables = await trustOfHost(root);
  const archive = join(work, "base.tar");
  await run(["tar", "-C", root, "-cf", archive, "."]);
  const changes = ['CMD ["node"]', ...variables].flatMap((change) => ["--change", change]);
  await run([engine.name, "import", ...changes, archive, tag]);
}

/** The registry is reached as this process reaches it: with the same authorities, if it has some of its own. */
async function trustOfHost(root: string): Promise<string[]> {
  const file = process.env["NODE_EXTRA_CA_CERTS"];
  if (file === undefined || file === "") return [];
  const inImage = "/etc/ssl/certs/extra-ca.pem";
  await mkdir(join(root, "etc/ssl/certs"), { recursive: true });
  await writeFile(join(root, inImage), await readFile(file));
  return [`ENV NODE_EXTRA_CA_CERTS=${inImage}`, `ENV SSL_CERT_FILE=${inImage}`];
}
