import { PAGE_SIZE } from "./machine.ts";
import { XBZRLE_COUNTERS, XbzrleStatistics } from "./xbzrle-statistics.ts";

/** Where each counter is in the buffer. */
const AT = {
  transferred: 0,
  remaining: 1,
  total: 2,
  duplicate: 3,
  normal: 4,
  dirtyPagesRate: 5,
  dirtySyncCount: 6,
  pagesPerSecond: 7,
  precopyBytes: 8,
  downtimeBytes: 9,
  mbps: 10,
  bandwidth: 11,
  retireRate: 12,
  threshold: 13,
  startTime: 14,
  setupTime: 15,
  stopTime: 16,
  totalTime: 17,
  downtime: 18,
  expectedDowntime: 19,
  pass: 20,
  passBytes: 21,
  passPages: 22,
  throttlePercentage: 23,
  multifdBytes: 24,
  diskTransferred: 25,
  diskRemaining: 26,
  diskTotal: 27,
} as const;

const XBZRLE_AT = Object.keys(AT).length;
const COUNTERS = XBZRLE_AT + XBZRLE_COUNTERS;

/**
 * The counters of the outgoing migration, in shared memory: the migration thread writes them, the
 * monitor reads them at any time. Each is one aligned 64-bit float, so it is never read half written;
 * two that are read after each other may be from different moments.
 */
export class MigrationStatistics {
  /** For opening the same counters in another thread. */
  readonly buffer: SharedArrayBuffer;
  /** Those of XBZRLE; all 0 while the capability is off. */
  readonly xbzrle: XbzrleStatistics;
  readonly #counters: Float64Array;

  /** @param buffer of another thread's MigrationStatistics; new ones are 0, and {@link mbps} -1. */
  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(COUNTERS * Float64Array.BYTES_PER_ELEMENT);
    this.#counters = new Float64Array(this.buffer, 0, COUNTERS);
    this.xbzrle = new XbzrleStatistics(this.#counters.subarray(XBZRLE_AT));
    if (buffer === undefined) this.mbps = -1;
  }

  /**
   * Begins a new migration: everything is 0.
   * @param startTime milliseconds of the agent's clock.
   */
  reset(startTime: number): void {
    this.#counters.fill(0);
    this.startTime = startTime;
  }

  /** Bytes of the pages sent whole. */
  get normalBytes(): number {
    return this.normal * PAGE_SIZE;
  }

  /** Bytes per second that the guest dirtied in the last period. */
  get dirtyBytesRate(): number {
    return this.dirtyPagesRate * PAGE_SIZE;
  }

  /** Bytes of the stream sent, on all connections. */
  get transferred(): number {
    return this.#counters[AT.transferred]!;
  }

  set transferred(value: number) {
    this.#counters[AT.transferred] = value;
  }

  /** Bytes of guest memory that are dirty and not sent yet. */
  get remaining(): number {
    return this.#counters[AT.remaining]!;
  }

  set remaining(value: number) {
    this.#counters[AT.remaining] = value;
  }

  /** Bytes of guest memory. */
  get total(): number {
    return this.#counters[AT.total]!;
  }

  set total(value: number) {
    this.#counters[AT.total] = value;
  }

  /** Pages sent as a fill byte. */
  get duplicate(): number {
    return this.#counters[AT.duplicate]!;
  }

  set duplicate(value: number) {
    this.#counters[AT.duplicate] = value;
  }

  /** Pages sent whole. */
  get normal(): number {
    return this.#counters[AT.normal]!;
  }

  set normal(value: number) {
    this.#counters[AT.normal] = value;
  }

  /** Pages per second that the guest dirtied in the last period. */
  get dirtyPagesRate(): number {
    return this.#counters[AT.dirtyPagesRate]!;
  }

  set dirtyPagesRate(value: number) {
    this.#counters[AT.dirtyPagesRate] = value;
  }

  /** How often the guest's dirty log was harvested. */
  get dirtySyncCount(): number {
    return this.#counters[AT.dirtySyncCount]!;
  }

  set dirtySyncCount(value: number) {
    this.#counters[AT.dirtySyncCount] = value;
  }

  /** Pages per second sent in the last period. */
  get pagesPerSecond(): number {
    return this.#counters[AT.pagesPerSecond]!;
  }

  set pagesPerSecond(value: number) {
    this.#counters[AT.pagesPerSecond] = value;
  }

  /** Bytes of the stream sent while the guest ran. */
  get precopyBytes(): number {
    return this.#counters[AT.precopyBytes]!;
  }

  set precopyBytes(value: number) {
    this.#counters[AT.precopyBytes] = value;
  }

  /** Bytes of the stream sent while the guest was stopped. */
  get downtimeBytes(): number {
    return this.#counters[AT.downtimeBytes]!;
  }

  set downtimeBytes(value: number) {
    this.#counters[AT.downtimeBytes] = value;
  }

  /** Megabits per second on the wire in the last period; -1 before the first migration. */
  get mbps(): number {
    return this.#counters[AT.mbps]!;
  }

  set mbps(value: number) {
    this.#counters[AT.mbps] = value;
  }

  /** Bytes per millisecond on the wire in the last period. */
  get bandwidth(): number {
    return this.#counters[AT.bandwidth]!;
  }

  set bandwidth(value: number) {
    this.#counters[AT.bandwidth] = value;
  }

  /** Bytes of guest memory made clean per millisecond in the last period, whatever they cost on the wire. */
  get retireRate(): number {
    return this.#counters[AT.retireRate]!;
  }

  set retireRate(value: number) {
    this.#counters[AT.retireRate] = value;
  }

  /** Bytes that may be left for the guest to be stopped, by the last estimate. */
  get threshold(): number {
    return this.#counters[AT.threshold]!;
  }

  set threshold(value: number) {
    this.#counters[AT.threshold] = value;
  }

  /** When `migrate` was accepted; milliseconds of the agent's clock. */
  get startTime(): number {
    return this.#counters[AT.startTime]!;
  }

  set startTime(value: number) {
    this.#counters[AT.startTime] = value;
  }

  /** Milliseconds that the setup stage took. */
  get setupTime(): number {
    return this.#counters[AT.setupTime]!;
  }

  set setupTime(value: number) {
    this.#counters[AT.setupTime] = value;
  }

  /** When the guest was stopped; milliseconds of the agent's clock. */
  get stopTime(): number {
    return this.#counters[AT.stopTime]!;
  }

  set stopTime(value: number) {
    this.#counters[AT.stopTime] = value;
  }

  /** Milliseconds from start to end, once completed. */
  get totalTime(): number {
    return this.#counters[AT.totalTime]!;
  }

  set totalTime(value: number) {
    this.#counters[AT.totalTime] = value;
  }

  /** Milliseconds that the guest stood still, once completed. */
  get downtime(): number {
    return this.#counters[AT.downtime]!;
  }

  set downtime(value: number) {
    this.#counters[AT.downtime] = value;
  }

  /** Milliseconds that the guest would stand still if it were stopped now. */
  get expectedDowntime(): number {
    return this.#counters[AT.expectedDowntime]!;
  }

  set expectedDowntime(value: number) {
    this.#counters[AT.expectedDowntime] = value;
  }

  /** Number of the pass over guest memory, from 1 on; 0 before the first. */
  get pass(): number {
    return this.#counters[AT.pass]!;
  }

  set pass(value: number) {
    this.#counters[AT.pass] = value;
  }

  /** Bytes of the stream sent in this pass. */
  get passBytes(): number {
    return this.#counters[AT.passBytes]!;
  }

  set passBytes(value: number) {
    this.#counters[AT.passBytes] = value;
  }

  /** Pages to send in this pass, as counted at its beginning. */
  get passPages(): number {
    return this.#counters[AT.passPages]!;
  }

  set passPages(value: number) {
    this.#counters[AT.passPages] = value;
  }

  /** Percentage of time that the guest is kept from running. */
  get throttlePercentage(): number {
    return this.#counters[AT.throttlePercentage]!;
  }

  set throttlePercentage(value: number) {
    this.#counters[AT.throttlePercentage] = value;
  }

  /** Bytes sent on the connections of multifd. */
  get multifdBytes(): number {
    return this.#counters[AT.multifdBytes]!;
  }

  set multifdBytes(value: number) {
    this.#counters[AT.multifdBytes] = value;
  }

  /** Bytes of drives sent. */
  get diskTransferred(): number {
    return this.#counters[AT.diskTransferred]!;
  }

  set diskTransferred(value: number) {
    this.#counters[AT.diskTransferred] = value;
  }

  /** Bytes of drives that are still to be sent. */
  get diskRemaining(): number {
    return this.#counters[AT.diskRemaining]!;
  }

  set diskRemaining(value: number) {
    this.#counters[AT.diskRemaining] = value;
  }

  /** Bytes of the drives that are migrated; 0 when none is. */
  get diskTotal(): number {
    return this.#counters[AT.diskTotal]!;
  }

  set diskTotal(value: number) {
    this.#counters[AT.diskTotal] = value;
  }
}
