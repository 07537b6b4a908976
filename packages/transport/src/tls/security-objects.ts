import { MigrationError } from "@peregrine/protocol";
import type { Address } from "../address.ts";
import { requireTls } from "../uri.ts";
import type { Authorization, ClientTls, ServerTls, TlsCredentials, TlsEndpoint } from "./credentials.ts";
import type { ObjectProperties } from "./object-properties.ts";
import type { SecurityObject } from "./object-types.ts";

/** Objects at a time. */
const MAX_OBJECTS = 256;

/** The parameters of a migration that are about TLS. Empty texts: not set. */
export interface TlsParameters {
  readonly "tls-creds": string;
  readonly "tls-hostname": string;
  readonly "tls-authz": string;
}

/** The objects for TLS that clients of the monitor and the command line have made, by their ids. */
export class SecurityObjects {
  readonly #objects = new Map<string, SecurityObject>();

  /** Makes an object, and reads its files. Errors: BAD_PARAMETER, BAD_CREDENTIALS, LIMIT_EXCEEDED. */
  async add(properties: ObjectProperties): Promise<void> {
    const { createObject } = await import("./object-types.ts");
    const { id, ...object } = await createObject(properties);
    if (this.#objects.has(id)) {
      throw bad(`attempt to add duplicate property '${id}' to object (type 'container')`);
    }
    if (this.#objects.size >= MAX_OBJECTS) {
      throw new MigrationError(
        "LIMIT_EXCEEDED",
        `There are ${MAX_OBJECTS} objects already: remove one with object-del`,
      );
    }
    this.#objects.set(id, object);
  }

  /** Forgets an object. What is under way with it goes on. Errors: BAD_PARAMETER. */
  remove(id: string): void {
    if (!this.#objects.delete(id)) throw bad(`object '${id}' not found`);
  }

  /** What a migration to `address` has. Undefined: no TLS. Errors: BAD_PARAMETER. */
  client(parameters: TlsParameters, address: Address): ClientTls | undefined {
    const credentials = this.#credentials(parameters, "client", address);
    const hostname = parameters["tls-hostname"];
    return credentials === undefined
      ? undefined
      : { credentials, hostname: hostname === "" ? undefined : hostname };
  }

  /** What a migration that is awaited at `address` has. Undefined: no TLS. Errors: BAD_PARAMETER. */
  server(parameters: TlsParameters, address: Address): ServerTls | undefined {
    const credentials = this.#credentials(parameters, "server", address);
    return credentials === undefined
      ? undefined
      : { credentials, authorization: this.#authorization(parameters["tls-authz"], credentials) };
  }

  /** Nothing goes over a network that is in a file. */
  #credentials(
    parameters: TlsParameters,
    endpoint: TlsEndpoint,
    address: Address,
  ): TlsCredentials | undefined {
    const id = parameters["tls-creds"];
    if (id === "" || address.kind === "file") return undefined;
    requireTls(address);
    const object = this.#objects.get(id);
    if (object === undefined) throw bad(`No TLS credentials with id '${id}'`);
    if (object.kind !== "credentials") throw bad(`Object with id '${id}' is not TLS credentials`);
    if (object.credentials.endpoint !== endpoint) {
      throw bad(
        `Expected TLS credentials for a ${endpoint} endpoint, and '${id}' is for a ${object.credentials.endpoint}`,
      );
    }
    return object.credentials;
  }

  #authorization(id: string, credentials: TlsCredentials): Authorization | undefined {
    if (id === "") return undefined;
    const object = this.#objects.get(id);
    if (object === undefined) throw bad(`No authorization object with id '${id}'`);
    if (object.kind !== "authorization") throw bad(`Object with id '${id}' is not an authorization object`);
    if (credentials.kind === "x509" && !credentials.verifyPeer) {
      throw bad(
        `'${id}' (tls-authz) needs certificates of clients, and '${credentials.id}' has verify-peer=off`,
      );
    }
    return object.authorization;
  }
}

function bad(text: string): MigrationError {
  return new MigrationError("BAD_PARAMETER", text);
}
