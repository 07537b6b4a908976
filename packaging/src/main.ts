import { statSync } from "node:fs";
import { packAll } from "./pack.ts";

for (const { tarball } of await packAll()) {
  console.log(`${tarball} (${Math.ceil(statSync(tarball).size / 1024)} KiB)`);
}
