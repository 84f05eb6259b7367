import { endianness } from 'node:os';
import type { Engine } from '../datagrams.js';
import { loadLibc } from './libc.js';
import { populate } from './memory.js';
import { hostedStreams } from './streams/hosted.js';
import { makeRaw } from './termios.js';

/**
 * The engine for Linux: batched system calls through an FFI. Sockets load their modules when the first of their kind is opened.
 * @throws when this machine cannot load it
 */
export function linuxEngine(): Engine {
  // The structure layouts are those of 64-bit little-endian Linux.
  if (process.platform !== 'linux' || endianness() !== 'LE' || !['x64', 'arm64'].includes(process.arch)) {
    throw new Error(`it is for Linux on x64 and arm64, and this is ${process.platform} on ${process.arch}`);
  }
  const libc = loadLibc();
  return {
    name: 'linux',
    exactGroups: true,
    setsTos: true,
    sendsAtOnce: true,
    openReceiver: async (options) => (await import('./receiver.js')).openReceiver(libc, options),
    openSender: async (options) => (await import('./sender.js')).openSender(libc, options),
    openRequestSocket: async (options) =>
      (await import('./request-socket.js')).openRequestSocket(libc, options),
    redirect: (from, to) => void libc.dup2(from, to),
    makeRaw: (fd, baud) => makeRaw(libc, fd, baud),
    get streams() {
      return hostedStreams(libc);
    },
    populate: (memory) => populate(libc, memory),
  };
}
