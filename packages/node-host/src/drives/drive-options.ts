/** A drive as it was asked for. Paths are absolute. */
export interface DriveOptions {
  readonly id: string;
  /** The image file, or with `backing` the overlay. */
  readonly file: string;
  /** The file that holds what the overlay does not. It is never written. */
  readonly backing: string | undefined;
  /** False: nothing keeps others from using the files at the same time. */
  readonly lock: boolean;
}
