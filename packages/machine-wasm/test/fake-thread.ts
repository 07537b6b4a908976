import { CONTROL } from "../src/rewrite/control-layout.ts";
import type { GuestCommand, GuestReport, GuestSnapshot, GuestThread } from "../src/guest-messages.ts";

export const controlMemory = (): WebAssembly.Memory =>
  new WebAssembly.Memory({ initial: CONTROL.initialPages, maximum: CONTROL.maximumPages, shared: true });

export const SNAPSHOT: GuestSnapshot = {
  cpu: { globals: new Uint8Array(0), tables: [] },
  wasi: {
    args: [],
    env: [],
    preopens: [],
    descriptors: [],
    monotonicNs: 0n,
    pollStartedNs: undefined,
    consoleInput: new Uint8Array(0),
    consoleInputEnded: false,
    exitStatus: undefined,
  },
  unmovable: [],
};

/** A guest thread whose reports the test makes. */
export class FakeThread implements GuestThread {
  readonly posted: GuestCommand[] = [];
  readonly stackMib: number;
  isTerminated = false;
  report: (report: GuestReport) => void = () => undefined;
  fail: (error: Error) => void = () => undefined;

  constructor(stackMib: number) {
    this.stackMib = stackMib;
  }

  post(command: GuestCommand): void {
    this.posted.push(command);
  }

  onReport(listener: (report: GuestReport) => void): void {
    this.report = listener;
  }

  onFailure(listener: (error: Error) => void): void {
    this.fail = listener;
  }

  terminate(): Promise<void> {
    this.isTerminated = true;
    return Promise.resolve();
  }

  /** What was posted since the last look. */
  commands(): string[] {
    return this.posted.splice(0).map(({ kind }) => kind);
  }
}
