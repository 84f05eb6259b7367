import { Context } from 'mproxy-service/context';
import { type ConnectorOptions, type Target, tcpConnector } from 'mproxy-service/tcp-connector';
import t from 'tap';
import { ENGINES } from '../net/engines.js';
import { freeTcpPort } from '../support/net.js';
import { until } from '../support/wait.js';
import { origin } from './origin.js';

const context = () => new Context({ peer: undefined, local: undefined, tls: undefined, listener: 'test' });

for (const { name, streams } of ENGINES) {
  const open = async (target: Target, options: ConnectorOptions = {}, how = context()) =>
    tcpConnector({ streams, ...options }).call(target, how);

  t.test(`${name}: connects to an address, or to one of those of a name`, async (t) => {
    const server = await origin(t, { host: '127.0.0.2' });
    const { port } = server;
    const lookUp = async () => ['127.0.0.1', '127.0.0.2'];
    for (const host of ['127.0.0.2', 'app.test']) {
      const connection = await open({ host, port }, host === 'app.test' ? { lookUp } : {});
      t.strictSame(connection.peer, { address: '127.0.0.2', port });
      connection.start({ onData: () => undefined, onEnd: () => undefined, onClose: () => undefined });
      connection.close();
    }
    await until('all are closed', () => server.sockets.length === 2 && server.open === 0);
  });

  t.test(`${name}: fails with the error of the last address, of the resolver, or in time`, async (t) => {
    const port = await freeTcpPort();
    const lookUp = async () => ['127.0.0.1', '127.0.0.2'];
    await t.rejects(open({ host: 'app.test', port }, { lookUp }), { code: 'ECONNREFUSED' });
    const unknown = async () => {
      throw Object.assign(new Error(), { code: 'ENOTFOUND' });
    };
    await t.rejects(open({ host: 'app.test', port }, { lookUp: unknown }), { code: 'ENOTFOUND' });
    const silent = (_: string, signal: AbortSignal) =>
      new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    await t.rejects(open({ host: 'app.test', port }, { lookUp: silent, timeout: 50 }), { code: 'ETIMEDOUT' });
    await t.rejects(open({ path: '/nowhere/at/all' }), { code: 'ENOENT' });
  });

  t.test(`${name}: gives up when nobody waits any more`, async (t) => {
    const how = context();
    const silent = (_: string, signal: AbortSignal) =>
      new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const opening = open({ host: 'app.test', port: 1 }, { lookUp: silent }, how);
    how.abort(new Error('left'));
    await t.rejects(opening, { message: 'left' });
    await t.rejects(open({ host: '127.0.0.1', port: 1 }, {}, how), { message: 'left' });
  });
}
