import { MigrationError } from "@peregrine/protocol";

/** Errors of whoever uses a channel. */
export function twoReaders(): MigrationError {
  return new MigrationError("INTERNAL", "a channel has two readers");
}

/** See {@link twoReaders}. */
export function secondWrite(): MigrationError {
  return new MigrationError("INTERNAL", "what is written from several places is written alone");
}
