import { reason } from 'mproxy-base';
import { nodeStreams } from '../../node/streams.js';
import type { Streams } from '../../streams.js';
import { HostedLoop } from '../hosted-loop.js';
import type { Libc } from '../libc.js';
import { Loop } from '../loop.js';
import { unacknowledged } from '../socket.js';
import { threadTicketKeys } from '../tls/thread-keys.js';
import { Tls } from '../tls/tls.js';
import { loadUv, type Uv } from '../uv.js';
import { StreamParts } from './parts.js';
import { linuxStreams } from './streams.js';
import { upgrade } from './upgrade.js';

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
  } catch (error) {
    // Node was built without the symbols of libuv.
    return { ...node, instead: reason(error) };
  }
  const loop = new Loop(libc);
  new HostedLoop(uv, loop);
  const { tls, instead } = openTls(libc);
  const parts: StreamParts = new StreamParts(
    libc,
    loop,
    tls,
    tls ? (fd, client, options) => upgrade(parts, tls, fd, client, options) : node.secure,
  );
  return { ...linuxStreams(parts, node), ...(instead !== undefined && { instead }) };
}

/** With the reason why node:tls serves where Node was built without the symbols of OpenSSL 3. */
function openTls(libc: Libc): { tls?: Tls; instead?: string } {
  try {
    return { tls: new Tls(libc, threadTicketKeys()) };
  } catch (error) {
    return { instead: reason(error) };
  }
}
