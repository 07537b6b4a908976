import type { Channel, ConnectOptions } from "./channel.ts";
import { loadDuplicate } from "./descriptors/duplicate.ts";
import { hostOf, openSocket } from "./socket-connect.ts";
import type { ClientTls, ServerTls } from "./tls/credentials.ts";
import { certificateNames, distinguishedName, issuerName } from "./tls/distinguished-name.ts";
import type { PeerIdentity } from "./tls/identity.ts";
import { certificatesOf } from "./tls/load-credentials.ts";
import { meetServer, orAbort } from "./tls/secure-client.ts";
import { connect, parseUri, socketTarget } from "./uri.ts";

/** What was found out about a destination that was sent nothing. */
export interface ProbeResult {
  /** Undefined where no TLS was asked for. */
  readonly tls: ProbedTls | undefined;
}

export interface ProbedTls {
  /** Of the destination; undefined with a pre-shared key. */
  readonly certificate: CertificateSummary | undefined;
  /**
   * Whether it has said that it accepts this side. Undefined when it does not say so before a migration begins, as a QEMU:
   * then it has not seen who this side is.
   */
  readonly accepted: true | undefined;
}

export interface CertificateSummary {
  readonly subject: string;
  readonly issuer: string;
  /** Of hosts. */
  readonly names: readonly string[];
  readonly validFrom: Date;
  readonly validTo: Date;
}

/**
 * Connects as a migration would, and leaves before a first byte: a destination of ours goes on waiting. With TLS one of
 * another kind sees a handshake that was not finished.
 * Errors: as of connecting.
 */
export async function probe(uri: string, options: ConnectOptions = {}): Promise<ProbeResult> {
  const address = parseUri(uri);
  const secure = options.tls === undefined ? undefined : await probeTls(uri, options.tls, options);
  // A WebSocket also has to be agreed on. TLS without an answer goes no further.
  if (secure === undefined || address.kind === "wss") await leave(await connect(uri, options));
  const accepted = secure?.accepted === true || address.kind === "wss" ? true : undefined;
  return { tls: secure === undefined ? undefined : { ...secure, accepted } };
}

async function probeTls(
  uri: string,
  tls: ClientTls,
  { signal }: ConnectOptions,
): Promise<ProbedTls | undefined> {
  const found = socketTarget(uri);
  if (found === undefined) return undefined;
  const { target, peer } = found;
  const socket = await openSocket(target, peer, signal);
  const isWeb = parseUri(uri).kind === "wss";
  const protocol = isWeb ? { protocol: "http/1.1" } : {};
  const known = await meetServer(socket, { tls, peer, host: hostOf(target), signal, ...protocol });
  const certificate = summaryOf(known.identity);
  if (!known.greets) {
    known.leave();
    return { certificate, accepted: undefined };
  }
  const stream = await orAbort(known.proceed(), { peer, signal, drop: () => known.leave() });
  stream.end(() => stream.destroy());
  return { certificate, accepted: true };
}

function summaryOf({ certificate }: PeerIdentity): CertificateSummary | undefined {
  if (certificate === undefined) return undefined;
  return {
    subject: distinguishedName(certificate),
    issuer: issuerName(certificate),
    names: certificateNames(certificate),
    validFrom: certificate.validFromDate,
    validTo: certificate.validToDate,
  };
}

/** In order: what the other side makes of it does not matter. */
async function leave(channel: Channel): Promise<void> {
  await channel.end().catch(() => undefined);
  channel.destroy();
  await channel.closed;
}

export interface OwnCertificate extends CertificateSummary {
  /** Whether an authority of the same credentials has issued it, or another certificate in its file whose issuer has. */
  readonly issuedByAuthority: boolean;
}

/** The certificate that this side shows. Undefined where it has none. */
export function ownCertificate({ credentials }: ClientTls | ServerTls): OwnCertificate | undefined {
  if (credentials.kind === "psk" || credentials.own === undefined) return undefined;
  const { authorities, trust, own } = credentials;
  const chain = certificatesOf(own.certificate, "own certificate");
  const known = certificatesOf(authorities, trust);
  const issuedByAuthority = chain.some((one) =>
    known.some((authority) => one.checkIssued(authority) && one.verify(authority.publicKey)),
  );
  return { ...summaryOf({ certificate: chain[0], name: undefined })!, issuedByAuthority };
}

/** Whether descriptors can be handed over and passed on, for which koffi is needed. */
export async function hasSystemCalls(): Promise<boolean> {
  return (await loadDuplicate()) !== undefined;
}
