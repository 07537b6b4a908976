/** The answer of `query-version`, in the greeting too. `qemu` is the release whose behaviour is offered. */
export interface MonitorVersion {
  readonly qemu: { readonly major: number; readonly minor: number; readonly micro: number };
  /** For example `peregrine 0.1.0`. */
  readonly package: string;
}
