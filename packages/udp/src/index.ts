export { Allowed } from './allowed.js';
export { Batch } from './batch.js';
export * from './contract.js';
export { type Choice, chooseEngine } from './engine.js';
export {
  broadcastAddresses,
  findInterface,
  findZone,
  type InterfaceList,
  interfaceMtu,
  type LocalAddress,
  listInterfaces,
  type NetInterface,
  readInterfaces,
  routeInterface,
} from './interfaces.js';
export { ThreadFile } from './linux/writer.js';
export { untilQuiet } from './quiet.js';
