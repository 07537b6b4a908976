export { adopt } from "./adopt.ts";
export { describeAddress, formatUri } from "./address.ts";
export type { Address, FileAddress, TcpAddress, UnixAddress, WebSocketAddress } from "./address.ts";
export type {
  Channel,
  ChannelOptions,
  ConnectOptions,
  Gathering,
  Listener,
  ListenOptions,
  ReceivedDescriptors,
  ReleasedConnection,
  Scattering,
  SeekableOutput,
} from "./channel.ts";
export { GatherList } from "./gather-list.ts";
export { prepareConnections } from "./link-watch.ts";
export { LoopTurn } from "./loop-turn.ts";
export { NamedDescriptors } from "./named-descriptors.ts";
export { systemError } from "./errno.ts";
export { openNetdev, parseNetdev } from "./netdev/netdev.ts";
export type { Netdev } from "./netdev/netdev.ts";
export { RATE_PERIOD_MS, RateLimiter } from "./rate-limiter.ts";
export { SpentBuffers } from "./spent-buffers.ts";
export { abortError } from "./socket-connect.ts";
export type { ClientTls, ServerTls } from "./tls/credentials.ts";
export { parseObject } from "./tls/object-properties.ts";
export type { ObjectProperties } from "./tls/object-properties.ts";
export { SecurityObjects } from "./tls/security-objects.ts";
export type { TlsParameters } from "./tls/security-objects.ts";
export { bind } from "./socket-listener.ts";
export { bindToPath } from "./unix.ts";
export { connect, listen, parseUri, requireTls } from "./uri.ts";
export type { Direction } from "./uri.ts";
export { answerPings, HANDSHAKE_OPTIONS, WEB_SOCKET_OPTIONS } from "./web-socket-limits.ts";
