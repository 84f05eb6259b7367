export { answer } from './answer.js';
export { Copier, SLACK } from './copier.js';
export { type AskRules, Gaps } from './gaps.js';
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
  messageLength,
  sequenceOf,
  sessionName,
  sessionOf,
  writeHeader,
} from './packet.js';
export { RttEstimator } from './rtt-estimator.js';
export { PacketStore } from './store.js';
export { Tracker, type TrackerCounts, type TrackerOptions } from './tracker.js';
