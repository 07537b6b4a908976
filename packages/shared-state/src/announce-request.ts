/** How often an announcement is made, and when. Times are milliseconds. */
export interface AnnounceSchedule {
  /** Between the first round and the second. */
  readonly initial: number;
  /** The longest time between two rounds. */
  readonly max: number;
  readonly rounds: number;
  /** What the time between two rounds grows by with each round. */
  readonly step: number;
}

/** What is announced, and when. */
export interface AnnounceRequest extends AnnounceSchedule {
  /** Ids of the network interfaces; those that are not there are left out. Default: every interface. */
  readonly interfaces?: readonly string[] | undefined;
  /** A request ends an earlier one with the same id; requests with different ids go side by side. */
  readonly id?: string | undefined;
}
