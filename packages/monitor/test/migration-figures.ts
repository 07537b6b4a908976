import type { RamInfo, XbzrleInfo } from "@peregrine/shared-state";

/** Figures as a QEMU has told them. */
export const RAM_INFO: RamInfo = {
  transferred: 572_859,
  remaining: 307_200,
  total: 17_309_696,
  duplicate: 4320,
  skipped: 0,
  normal: 130,
  "normal-bytes": 532_480,
  "dirty-pages-rate": 77,
  mbps: 2.628,
  "dirty-sync-count": 2,
  "page-size": 4096,
  "pages-per-second": 80,
  "precopy-bytes": 572_563,
  "downtime-bytes": 1100,
  "multifd-bytes": 0,
  "postcopy-requests": 0,
  "postcopy-bytes": 0,
  "dirty-sync-missed-zero-copy": 0,
};

export const XBZRLE_INFO: XbzrleInfo = {
  "cache-size": 64 << 20,
  bytes: 14,
  pages: 3,
  "cache-miss": 65,
  "cache-miss-rate": 0.014_364_640_883_977_901,
  "encoding-rate": 0,
  overflow: 0,
};
