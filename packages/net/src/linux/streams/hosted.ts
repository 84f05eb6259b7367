import { reason } from 'mproxy-base';
import { loadKoffi } from '#native';
import { nodeStreams } from '../../node/streams.js';
import { loadedLater } from '../../stream-openers.js';
import type { Streams } from '../../streams.js';
import { HostedLoop } from '../hosted-loop.js';
import type { Libc } from '../libc.js';
import { Loop } from '../loop.js';
import { unacknowledged } from '../socket.js';
import { checkOpenssl } from '../tls/openssl-version.js';
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
  } catch (error) {
    // Node was built without the symbols of libuv.
    return { ...node, instead: reason(error) };
  }
  const loop = new Loop(libc);
  new HostedLoop(uv, loop);
  const instead = withoutOpenssl();
  const secure =
    instead === undefined
      ? loadedLater(async () => (await import('./secure-openers.js')).secureOpeners(parts))
      : node;
  const parts: StreamParts = new StreamParts(libc, loop, undefined, secure.secure);
  return { ...linuxStreams(parts, secure), ...(instead !== undefined && { instead }) };
}

/** The reason why node:tls serves where Node was built without the symbols of OpenSSL 3. */
function withoutOpenssl(): string | undefined {
  try {
    checkOpenssl(loadKoffi());
    return undefined;
  } catch (error) {
    return reason(error);
  }
}
