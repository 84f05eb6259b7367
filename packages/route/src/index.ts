export { FRAMES, type Frame } from 'mproxy-framing';
export type { Deliver, Endpoint, OwnSender } from 'mproxy-udp';
export { type Address, type AddressRule, isGroup, parseAddress } from './address.js';
export { type RouteStats, type SinkCounts, type SourceCounts, type Stats, unsent } from './counts.js';
export { ERRORS, type ErrorCode, failure, MproxyError, reason, usage } from './errors.js';
export { FollowedInput } from './follow.js';
export { type Input, openInput } from './input.js';
export { KEYS, type KeyName, type Keys, parseFrame, setKey } from './keys.js';
export { parseAllow, parseNetworks } from './listener.js';
export { forbidLoops, forbidTwins, type Resolved } from './loops.js';
export {
  type MoldReceiveOptions,
  type MoldReceiving,
  type MoldSending,
  type MoldSendOptions,
  readMoldReceiving,
  readMoldSending,
} from './mold/options.js';
export { Sessions } from './mold/sessions.js';
export { forbidTlsOptions, isMold, type KeyOptions, keyDefaults, listOf, parseAddresses } from './options.js';
export { Pacer } from './pace.js';
export { choosePayload, parsePayload } from './payload.js';
export { type Answer, resolveAll, resolveFirst } from './resolve.js';
export { type Rotation, type RotationOptions, readRotation } from './rotation/options.js';
export type { Pace } from './route.js';
export { type CommonOptions, type Handle, type Notice, type Service, startService } from './service.js';
export { ClientsSink } from './sink/clients.js';
export { MoldSink } from './sink/mold.js';
export { isRegular, openPathSink } from './sink/path.js';
export { openUdpSink, type UdpSink } from './sink/udp.js';
export type { Sink } from './sink.js';
export { FileSource } from './source/file.js';
export { MoldSource } from './source/mold.js';
export { TcpConnectSource } from './source/tcp-connect.js';
export { TcpListenSource } from './source/tcp-listen.js';
export { openUdpSources, type UdpSource } from './source/udp.js';
export type { Source } from './source.js';
export { parseFlushAfter } from './stream.js';
export { clientContext, type TlsClientOptions, TlsIdentities, type TlsServerOptions } from './tls.js';
export {
  parseDuration,
  parseInteger,
  parseRate,
  parseSize,
  type Rate,
  showBytes,
  showCount,
  showDuration,
} from './units.js';
export { VERSION } from './version.js';
