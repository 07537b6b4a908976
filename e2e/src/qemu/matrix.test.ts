import { expect, it } from "vitest";
import { casesOf } from "./matrix.ts";
import type { Move } from "./matrix.ts";
import { intake, outgoing } from "./settings.ts";

it("a short matrix has every setting of each release, in fewer moves", () => {
  const { plain, zstd } = intake;
  const within = (): readonly Move[] => [
    { type: "pc", into: plain, out: outgoing.plain },
    { type: "q35", into: zstd, out: outgoing.zstd },
    { type: "pc", into: plain, out: outgoing.zstd },
    { type: "q35", into: zstd, out: outgoing.plain },
    { type: "pc", into: plain, out: outgoing.plain },
  ];
  const cases = casesOf(within, [], false);
  const short = casesOf(within, [], true);
  const settings = (list: typeof cases): Set<string> =>
    new Set(
      list.flatMap(({ from, to, type, into, out, devices, transport, starts }) => [
        `${from.version} ${type}`,
        `${from.version} ${into.name}`,
        `${to.version} ${out.name}`,
        `${to.version} ${devices}`,
        `${to.version} ${transport}`,
        `${to.version} ${starts}`,
      ]),
    );
  expect(short.length).toBeLessThan(cases.length);
  expect(settings(short)).toEqual(settings(cases));
});
