/** What one migration is to do, besides what capabilities and parameters say. */
export interface MigrateRequest {
  /** Contents of drives that are sent, too: whole drives, or only what their own files hold. Default: none. */
  readonly storage?: "all" | "inc";
  /** The guest is paused at the destination, whatever it did here. */
  readonly paused?: boolean;
  /** Into a file only: the guest stays here and goes on as it was when everything is written. */
  readonly copy?: boolean;
}
