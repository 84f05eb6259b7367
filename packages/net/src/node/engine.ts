import type { Engine } from '../datagrams.js';
import { openReceiver } from './receiver.js';
import { openRequestSocket } from './request-socket.js';
import { openSender } from './sender.js';
import { nodeStreams } from './streams.js';
import { makeRaw } from './stty.js';

/** The engine for every platform, on node:dgram. */
export const nodeEngine: Engine = {
  name: 'node',
  exactGroups: false,
  setsTos: false,
  sendsAtOnce: false,
  streams: nodeStreams(),
  openReceiver,
  openSender,
  openRequestSocket,
  makeRaw,
};
