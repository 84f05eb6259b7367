import { createServer } from 'node:tls';
import t, { type Test } from 'tap';
import { Authority, type Pair } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { Log } from './connections.js';
import { ENGINES } from './engines.js';
import { relay } from './tls-channels.js';

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
/** Bytes of the answer: a record, and more than an engine receives before it is slowed down. */
const SIZES = [10, 400_000];
/** Bytes that are missing at the end: none, a part of close_notify, close_notify alone (RFC 8446, section 5.2), more. */
const MISSING = [0, 1, 24, 31, 500];

/** A server that answers the first bytes, and ends. */
async function answering(t: Test, pair: Pair, version: (typeof VERSIONS)[number], size: number) {
  const server = createServer({ ...pair, minVersion: version, maxVersion: version }, (socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(Buffer.alloc(size, 'x')));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return (server.address() as { port: number }).port;
}

/** Passes on what a server sends, after the handshake but for the last bytes, then FIN. */
async function cutting(t: Test, to: number, missing: number) {
  let kept = Buffer.alloc(0);
  let keeps = 0;
  const { port } = await relay(t, to, (bytes, on, fromClient) => {
    if (fromClient) return on.write(bytes);
    const all = Buffer.concat([kept, bytes]);
    const at = Math.max(0, all.length - keeps);
    kept = all.subarray(at);
    return on.write(all.subarray(0, at));
  });
  const begin = () => {
    keeps = missing;
  };
  return { port, begin };
}

for (const { name, streams } of ENGINES) {
  t.test(`${name}: an answer by TLS that was cut is never complete`, async (t) => {
    const authority = await Authority.make(t);
    const pair = await authority.sign({ dns: ['one.test'] });
    const tls = { credentials: { ca: authority.pem }, serverName: 'one.test', insecure: false };
    for (const version of VERSIONS)
      for (const size of SIZES) {
        const server = await answering(t, pair, version, size);
        for (const missing of MISSING)
          for (const slow of [false, true]) {
            const { port, begin } = await cutting(t, server, missing);
            const connection = await streams.connect({ to: { address: '127.0.0.1', port }, tls });
            const log = new Log(connection).start();
            begin();
            connection.write([Buffer.from('ask')]);
            if (slow) connection.pause();
            if (slow) await new Promise((resolve) => setTimeout(resolve, 50).unref());
            connection.resume();
            const ends = () => log.events.filter((event) => event !== 'drain');
            await until('it is over', () => ends().length > 0);
            const ended = missing === 0;
            const what = `${version}, ${size} bytes but for ${missing}${slow ? ', slowly' : ''}`;
            t.strictSame([ends(), log.code], ended ? [['end'], undefined] : [['close'], 'ECONNRESET'], what);
            if (missing <= 24) t.equal(log.bytes, size, `${what}: all that came`);
            connection.close();
          }
      }
  });
}
