/** What a guest's downtime was made of. Milliseconds, in the order in which the parts came. */
export interface DowntimeBreakdown {
  /** From the request until the guest stood still. */
  readonly stop: number;
  /** Until the migration was continued, with the capability pause-before-switchover. */
  readonly pause: number;
  /** Saving the devices. */
  readonly save: number;
  /** Sending the last pages. */
  readonly lastPages: number;
  /** Sending the device state and the end of the stream. */
  readonly deviceState: number;
  /** From the last byte sent until the destination's confirmation; without one, until the stream was ended. */
  readonly load: number;
  /** All of it: from the stop request until the end of {@link load}. */
  readonly total: number;
}
