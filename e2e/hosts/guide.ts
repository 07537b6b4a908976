import { readFileSync } from "node:fs";

/** Where the commands of a block of the guide are for. `install` and `systemd` are not for a lab. */
export type Place = "a" | "b" | "both" | "client" | "install" | "systemd";

export interface Block {
  /** Of the block's first command in the guide, from 1 on. */
  readonly line: number;
  readonly place: Place;
  /** The link is cut in the middle, and the last command fails. */
  readonly cut: boolean;
  readonly commands: string;
}

const PLACES: readonly Place[] = ["a", "b", "both", "client", "install", "systemd"];

/** The commands of a guide, in their order. Errors: a block of commands that does not say where it is for. */
export function commandsOf(path: string): readonly Block[] {
  const blocks: Block[] = [];
  const lines = readFileSync(path, "utf8").split("\n");
  for (let at = 0; at < lines.length; at++) {
    const [fence, ...words] = lines[at]!.split(" ");
    if (!fence!.startsWith("```")) continue;
    const end = lines.indexOf("```", at + 1);
    if (end < 0) throw new Error(`${path}:${at + 1}: the block does not end`);
    const [place, cut] = words;
    if (fence !== "```sh" || !PLACES.includes(place as Place) || ![undefined, "cut"].includes(cut))
      throw new Error(`${path}:${at + 1}: a block of commands has to say where it is for`);
    const commands = lines.slice(at + 1, end).join("\n");
    blocks.push({ line: at + 2, place: place as Place, cut: cut === "cut", commands });
    at = end;
  }
  return blocks;
}
