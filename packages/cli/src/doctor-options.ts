import type { ObjectProperties } from "@peregrine/transport";
import type { ArrivalTls, SendTls } from "./tls-options.ts";

export interface DoctorOptions {
  /** Undefined: only this host is looked at. */
  readonly uri: string | undefined;
  /** Looks whether it can be listened on, instead of connecting there. */
  readonly incoming: boolean;
  /** False: nobody is connected to. */
  readonly connects: boolean;
  readonly objects: readonly ObjectProperties[];
  readonly tls: SendTls & ArrivalTls;
  /** Bytes that the guest has. */
  readonly memory: number | undefined;
  /** Path of a module. */
  readonly program: string | undefined;
  readonly json: boolean;
}
