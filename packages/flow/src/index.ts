export {
  type AddressFlag,
  addresses,
  checkUses,
  isListener,
  isMold,
  keysOf,
  type Uses,
} from './addresses.js';
export {
  type Named,
  type RouteStats,
  type SinkCounts,
  type SourceCounts,
  type Stats,
  unsent,
} from './counts.js';
export type {
  AnyAddress,
  Endpoint,
  EndpointType,
  Opener,
  Role,
  SinkContext,
  SourceContext,
  Target,
} from './endpoint.js';
export { isRegular } from './endpoints/file/path.js';
export type { FileSource } from './endpoints/file/source.js';
export { stdoutSink } from './endpoints/file/stream-sink.js';
export type { Lost, Notice } from './events.js';
export type {
  Cell,
  Column,
  Figures,
  FigureTable,
  Histogram,
  MetricFamily,
} from './figures.js';
export { forbidLoops, forbidTwins } from './loops.js';
export { choosePayload, Outputs, openSources } from './open.js';
export { Pacer } from './pace.js';
export { type Certificate, COMMON_OPTIONS, type CommonOptions, Program } from './program.js';
export type { Pace } from './route.js';
export type { Sink } from './sink.js';
export type { Source } from './source.js';
export { type Handle, startProgram } from './start.js';
export { checkFlushAfter } from './stream/flags.js';
export { resolveTargets } from './targets.js';
