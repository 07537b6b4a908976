/** What one migration is to do, besides what capabilities and parameters say. */
export interface MigrateRequest {
  /** The guest is paused at the destination, whatever it did here. */
  readonly paused?: boolean;
  /** Into a file only: the guest stays here and goes on as it was when everything is written. */
  readonly copy?: boolean;
}
