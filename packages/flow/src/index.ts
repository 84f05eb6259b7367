export { type RouteStats, type SinkCounts, type SourceCounts, type Stats, unsent } from './counts.js';
export { FollowedInput } from './endpoints/file/follow.js';
export type { Input } from './endpoints/file/input.js';
export { openInput } from './endpoints/file/open-input.js';
export { isRegular, openPathSink } from './endpoints/file/path.js';
export { type Rotation, type RotationOptions, readRotation } from './endpoints/file/rotation/options.js';
export { FileSource } from './endpoints/file/source.js';
export { stdoutSink } from './endpoints/file/stream-sink.js';
export {
  type MoldReceiveOptions,
  type MoldSendOptions,
  readMoldReceiving,
  readMoldSending,
} from './endpoints/mold/options.js';
export { Sessions } from './endpoints/mold/sessions.js';
export { MoldSink } from './endpoints/mold/sink.js';
export { ClientsSink } from './endpoints/tcp/clients.js';
export { TcpConnectSource } from './endpoints/tcp/connect.js';
export { parseAllow, parseNetworks } from './endpoints/tcp/listener.js';
export { TcpListenSource } from './endpoints/tcp/senders.js';
export { choosePayload, parsePayload } from './endpoints/udp/payload.js';
export { openUdpSink, UdpSink } from './endpoints/udp/sink.js';
export { openUdpSources } from './endpoints/udp/source.js';
export { forbidLoops, forbidTwins, type Resolved } from './loops.js';
export { Pacer } from './pace.js';
export { type CommonOptions, type Notice, Program } from './program.js';
export type { Pace } from './route.js';
export type { Sink } from './sink.js';
export type { Source } from './source.js';
export { type Handle, startProgram } from './start.js';
export { parseFlushAfter } from './stream/framed-stream.js';
