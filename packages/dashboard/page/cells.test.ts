import { expect, test } from "vitest";
import { describeCell, paint, sharesOf } from "./cells.ts";

const COLOURS = {
  untouched: [200, 200, 200],
  sent: [0, 0, 200],
  zero: [0, 200, 0],
  dirty: [200, 100, 0],
} as const;

const pixelOf = (...cell: number[]): number[] => {
  const pixels = new Uint8ClampedArray(4);
  paint(pixels, Uint8Array.from(cell), COLOURS);
  return [...pixels];
};

test("a cell has the colour of what its pages are", () => {
  expect(pixelOf(0, 0, 0)).toEqual([200, 200, 200, 255]);
  expect(pixelOf(255, 0, 0)).toEqual([0, 0, 200, 255]);
  expect(pixelOf(0, 255, 0)).toEqual([0, 200, 0, 255]);
  expect(pixelOf(0, 0, 255)).toEqual([200, 100, 0, 255]);
});

test("few dirty pages among many show", () => {
  const [red = 0] = pixelOf(252, 0, 3);
  expect(red).toBeGreaterThan(15);
});

test("the shares of all cells", () => {
  expect(sharesOf(Uint8Array.from([0, 0, 0, 0, 0, 0]))).toEqual({ untouched: 1, sent: 0, zero: 0, dirty: 0 });
  const shares = sharesOf(Uint8Array.from([255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0]));
  expect(shares).toMatchObject({ sent: 0.25, zero: 0.25, dirty: 0.25 });
  expect(shares.untouched).toBeCloseTo(0.25, 1);
});

test("a cell is told by its block and its addresses", () => {
  const memory = {
    pagesPerCell: 2,
    blocks: [
      { name: "a", pages: 3, cells: 2 },
      { name: "b", pages: 1, cells: 1 },
    ],
    cells: Uint8Array.from([255, 0, 0, 0, 255, 0, 0, 0, 255]),
  };
  expect(describeCell(memory, 1)).toBe("a, 0x2000 to 0x3000: 100 % zero");
  expect(describeCell(memory, 2)).toBe("b, 0x0 to 0x1000: 100 % dirty again");
});
