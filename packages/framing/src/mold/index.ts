export { type Answer, answer } from './answer.js';
export { Copier, SLACK } from './copier.js';
export { type AskRules, type Gap, Gaps } from './gaps.js';
export { Packer } from './packer.js';
export {
  checkPacket,
  checkRequest,
  countOf,
  END_OF_SESSION,
  HEADER,
  HEARTBEAT,
  headerAlone,
  isOf,
  MESSAGE_HEADER,
  MoldError,
  type MoldErrorCode,
  messageLength,
  SESSION_LENGTH,
  sequenceOf,
  sessionName,
  sessionOf,
  writeHeader,
} from './packet.js';
export { RttEstimator } from './rtt-estimator.js';
export { PacketStore, type Stored } from './store.js';
export { Tracker, type TrackerCounts, type TrackerOptions } from './tracker.js';
