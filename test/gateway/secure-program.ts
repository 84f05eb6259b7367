import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';
import { Authority, type Pair } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { type Program, program } from './program.js';
import { ENGINE } from './running.js';

/** The command with TLS, and a client that trusts it. */
export interface SecureProgram {
  gateway: Program;
  authority: Authority;
  /** Its certificate, for 127.0.0.1. */
  pair: Pair;
  workers: number;
  /** A request over a connection of its own. @returns status and body */
  ask(path?: string): Promise<string>;
  /** Handshakes until now, by their result. */
  handshakes(result: 'full' | 'resumed' | 'failed'): Promise<number>;
}

/** @param config further keys of its document, by what its authority signed. @param workers default: 4, where the engine can */
export async function secureProgram(
  t: Test,
  config: (authority: Authority, pair: Pair) => object | Promise<object>,
  { engine = ENGINE, workers }: { engine?: string; workers?: number } = {},
): Promise<SecureProgram> {
  const count = workers ?? (engine === 'node' ? 1 : 4);
  const authority = await Authority.make(t);
  const pair = await authority.sign({ ips: ['127.0.0.1'] });
  const tls = { enabled: true, cert_file: pair.certFile, key_file: pair.keyFile };
  const gateway = await program(
    t,
    { tls, thread_count: count, ...(await config(authority, pair)) },
    { logs: false, engine },
  );
  return {
    ...{ gateway, authority, pair, workers: count },
    async ask(path = '/') {
      const url = `https://127.0.0.1:${gateway.port}${path}`;
      const asking = request(url, { agent: false, ca: authority.pem }).end();
      const [response] = (await once(asking, 'response')) as [IncomingMessage];
      return `${response.statusCode} ${await text(response)}`;
    },
    handshakes: (result) => gateway.metric(`tls_handshakes_total{listener="127.0.0.1:0",result="${result}"}`),
  };
}

/** No worker failed, and no connection is left. */
export async function isUnharmed(t: Test, { gateway, workers }: SecureProgram): Promise<void> {
  await until('no connection is left', async () => (await gateway.connections()) === 0);
  t.equal(await gateway.metric('workers'), workers);
  t.equal(await gateway.metric('worker_restarts_total'), 0);
  t.notMatch(gateway.running.stderr, /Error/);
}
