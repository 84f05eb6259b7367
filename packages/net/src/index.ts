export {
  type Address,
  type AddressRule,
  canonicalIp,
  isGroup,
  isWildcard,
  lacksZone,
  parseAddress,
  zoneNeeded,
} from './address.js';
export { Allowed } from './allowed.js';
export { Backoff } from './backoff.js';
export { connectTcp, peerOf, type TlsConnection } from './connect.js';
export type {
  Deliver,
  Engine,
  EngineName,
  HandedOver,
  Membership,
  Network,
  OnMessage,
  OwnSender,
  Receiver,
  ReceiverOptions,
  RequestSocket,
  SendCounts,
  Sender,
  SenderOptions,
  ThreadSinks,
} from './datagrams.js';
export { descriptorLimit, takesReserve } from './descriptors.js';
export { chooseEngine } from './engine.js';
export {
  broadcastAddresses,
  interfaceMtu,
  listInterfaces,
  type NetInterface,
  routeInterface,
} from './interfaces.js';
export { KEYS, type KeyName, type Keys, keyFlags } from './keys.js';
export { ThreadFile } from './linux/writer.js';
export { networks } from './networks.js';
export { untilQuiet } from './quiet.js';
export {
  type Answer,
  familyOf,
  lookUp,
  resolveAll,
  resolveBind,
  resolveFirst,
  scoped,
  zoneOf,
} from './resolve.js';
export { bufferAdvice, isMissing, listenFailure } from './socket-errors.js';
export { clientContext, type TlsClientOptions, TlsIdentities, type TlsServerOptions } from './tls.js';
