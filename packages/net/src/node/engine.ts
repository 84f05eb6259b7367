import type { Engine } from '../datagrams.js';
import { nodeStreams } from './streams.js';
import { makeRaw } from './stty.js';

/** The engine for every platform, on node:dgram. Sockets load their modules when the first of their kind is opened. */
export const nodeEngine: Engine = {
  name: 'node',
  exactGroups: false,
  setsTos: false,
  sendsAtOnce: false,
  streams: nodeStreams(),
  openReceiver: async (options) => (await import('./receiver.js')).openReceiver(options),
  openSender: async (options) => (await import('./sender.js')).openSender(options),
  openRequestSocket: async (options) => (await import('./request-socket.js')).openRequestSocket(options),
  makeRaw,
};
