/**
 * State that is sent while the guest changes it: a START section, PART sections, an END section. Guest
 * memory is one; disks, when they are sent along, come before it in the order.
 */
export interface LiveSection {
  /** The START section. */
  start(): Promise<void>;
  /**
   * Bytes still to be sent. An estimate that is not above `maxSize` has been made exact.
   * @param maxSize bytes that may be left when the guest is stopped.
   */
  pending(maxSize: number): number;
  /**
   * A PART section with what the rate limit and 50 ms allow.
   * @returns whether nothing is left of the present pass.
   */
  iterate(): Promise<boolean>;
  /**
   * Everything that is left, and the END section. The guest stands still.
   * @param harvested called when it is known what that is, where that has to be found out.
   */
  complete(harvested?: () => void): Promise<void>;
}
