import * as fc from "fast-check";
import { mappedBitmapBytes, readMappedBlock, truncated } from "../src/index.ts";
import { require, requireKnownCode } from "./oracle.ts";
import type { Allocations } from "./oracle.ts";
import { LIMITS } from "./stream-run.ts";

const PAGE = 4096;
const FILE_PAGES = 600;

/** Blocks of a mapped-ram file, read at places that its headers name, which need not be in it. */
export function mappedProperty(allocations: Allocations): fc.IAsyncPropertyWithHooks<unknown> {
  const file = Uint8Array.from({ length: FILE_PAGES * PAGE }, (_, index) => (index * index) >> 5);
  const offset = fc.oneof(fc.nat(file.length), fc.maxSafeNat());
  return fc.asyncProperty(
    fc.oneof(fc.nat(FILE_PAGES), fc.nat(2 ** 31)),
    offset,
    offset,
    async (pages, bitmapOffset, pagesOffset) => {
      const length = pages * PAGE;
      let read = 0;
      let seen = 0;
      const page = (_block: number, at: number): void => {
        require(at === seen * PAGE && at < length, `a page at ${at} of ${length}`);
        seen += 1;
      };
      allocations.reset();
      try {
        const header = { pageSize: PAGE, bitmapOffset, pagesOffset };
        await readMappedBlock(
          { index: 0, length, header },
          LIMITS,
          { page, zeroPage: page },
          (from, target) => {
            read += target.length;
            if (from + target.length > file.length)
              return Promise.reject(truncated("a page", { offset: from }));
            target.set(file.subarray(from, from + target.length));
            return Promise.resolve();
          },
        );
        require(seen === pages, `${seen} pages of ${pages}`);
      } catch (error) {
        requireKnownCode(error);
      }
      require(read <= length + mappedBitmapBytes(length), `${read} bytes read of a block of ${length}`);
      allocations.requireWithin(LIMITS.maxItemBytes + 1024 * 1024, length);
    },
  );
}
