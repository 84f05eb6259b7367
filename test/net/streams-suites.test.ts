import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { Authority } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { listen, tlsServer } from './connections.js';
import { ENGINES } from './engines.js';

/** Suites of TLS 1.2, by the key of the certificate. */
const AGREED = [
  ['ec', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
  ['ec', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
  ['ec', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
  ['rsa', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ['rsa', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ['rsa', 'ECDHE-RSA-CHACHA20-POLY1305'],
] as const;
const REFUSED = [
  ['ec', 'ECDHE-ECDSA-AES128-SHA', 'CBC'],
  ['ec', 'ECDHE-ECDSA-AES256-SHA384', 'CBC'],
  ['rsa', 'ECDHE-RSA-AES128-SHA256', 'CBC'],
  ['rsa', 'ECDHE-RSA-AES256-SHA', 'CBC'],
  ['rsa', 'AES128-GCM-SHA256', 'key exchange by RSA'],
  ['rsa', 'AES256-SHA', 'key exchange by RSA, CBC'],
  ['rsa', 'DHE-RSA-AES128-GCM-SHA256', 'DHE'],
] as const;

for (const { name, streams } of ENGINES)
  t.test(name, async (t) => {
    const authorities = [await Authority.make(t), await Authority.make(t, 'RSA', 'rsa')] as const;
    const names = { dns: ['one.test'] };
    const pairs = { ec: await authorities[0].sign(names), rsa: await authorities[1].sign(names) };
    const ca = authorities.map(({ pem }) => pem);
    const tls = { credentials: { ca }, serverName: 'one.test', insecure: false };
    const trust = { host: '127.0.0.1', ca, servername: 'one.test' };
    const old = (ciphers: string) => ({ ciphers, maxVersion: 'TLSv1.2' as const });

    t.test('a client is agreed with upon ECDHE and AEAD alone', async (t) => {
      const errors: NodeJS.ErrnoException[] = [];
      const onHandshakeError = (error: Error) => errors.push(error);
      const ports = {
        ec: (await listen(t, streams, { tls: { pairs: [pairs.ec] }, onHandshakeError })).port,
        rsa: (await listen(t, streams, { tls: { pairs: [pairs.rsa] }, onHandshakeError })).port,
      };
      for (const [key, suite] of AGREED) {
        const socket = connectTls({ ...trust, ...old(suite), port: ports[key] });
        await once(socket, 'secureConnect');
        t.equal(socket.getCipher().name, suite);
        socket.destroy();
      }
      for (const [key, suite, why] of REFUSED) {
        const socket = connectTls({ ...trust, ...old(suite), port: ports[key] });
        const [error] = await once(socket, 'error');
        t.match(error.code, /ALERT_HANDSHAKE_FAILURE$/, `${suite}: ${why}`);
        await until('the server tells', () => errors.length === 1);
        t.match(errors.pop(), { code: 'ERR_SSL_NO_SHARED_CIPHER' });
      }
    });

    t.test('so is a server', async (t) => {
      for (const [key, suite] of [...AGREED, ...REFUSED]) {
        const { port, sockets } = await tlsServer(t, { ...pairs[key], ...old(suite) });
        const connecting = streams.connect({ to: { address: '127.0.0.1', port }, tls });
        if (REFUSED.some(([, refused]) => refused === suite)) {
          await t.rejects(connecting, { code: /ALERT_HANDSHAKE_FAILURE$/ }, suite);
          continue;
        }
        const connection = await connecting;
        await until('its peer', () => sockets.length === 1);
        t.equal(sockets[0]!.getCipher().name, suite);
        connection.close();
      }
    });

    t.test('a client cannot renegotiate', async (t) => {
      const { logs, port } = await listen(t, streams, { tls: { pairs: [pairs.ec] } });
      const client = connectTls({ ...trust, maxVersion: 'TLSv1.2', port });
      await until('it is accepted', () => logs.length === 1);
      const failed = once(client, 'error');
      client.renegotiate({}, () => undefined);
      t.match((await failed)[0], { code: 'ERR_SSL_NO_RENEGOTIATION' });
      client.destroy();
      await logs[0]!.has('close');
      t.ok(logs[0]!.error, 'the client gave up');
    });
  });
