import { nodeStreams } from '../../node/streams.js';
import type { Streams } from '../../streams.js';
import { HostedLoop } from '../hosted-loop.js';
import type { Libc } from '../libc.js';
import { Loop } from '../loop.js';
import { unacknowledged } from '../socket.js';
import { loadUv, type Uv } from '../uv.js';
import { StreamParts } from './parts.js';
import { linuxStreams } from './streams.js';

let hosted: Streams | undefined;

/** Stream sockets in a thread with Node's event loop: one loop for all of them, opened when it is needed. */
export function hostedStreams(libc: Libc): Streams {
  hosted ??= open(libc);
  return hosted;
}

function open(libc: Libc): Streams {
  const node = nodeStreams((fd) => unacknowledged(libc, fd));
  let uv: Uv;
  try {
    uv = loadUv();
  } catch {
    // Node was built without the symbols of libuv.
    return node;
  }
  const loop = new Loop(libc);
  new HostedLoop(uv, loop);
  return linuxStreams(new StreamParts(libc, loop, node.secure), node);
}
