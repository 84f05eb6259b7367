import { fileURLToPath } from 'node:url';
import type { ConnectOptions } from 'mproxy-net';
import t from 'tap';
import { ENGINES } from '../../net/engines.js';
import { NameServer, noNameServer } from '../../support/dns.js';
import { freeTcpPort } from '../../support/net.js';
import { until } from '../../support/wait.js';
import { ask, client, context, request } from '../exchanges.js';
import { origin } from '../origin.js';

/** A resolver that says what the test says. */
class Names {
  asked = 0;

  /** @param answer undefined: the name does not resolve */
  constructor(public answer: string[] | undefined) {}

  readonly lookUp = async (): Promise<string[]> => {
    this.asked++;
    if (this.answer) return this.answer;
    throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
  };
}

for (const { name, streams } of ENGINES) {
  t.test(`${name}: the addresses of a name are alternatives, and a refused one costs no retry`, async (t) => {
    const server = await origin(t, { host: '127.0.0.2' });
    const { lookUp } = new Names(['127.0.0.3', '127.0.0.2', '127.0.0.4', '::1']);
    const tried: unknown[] = [];
    const connect = (one: ConnectOptions) => {
      tried.push((one.to as { address: string }).address);
      return streams.connect(one);
    };
    const upstreams = [`http://app.test:${server.port}`];
    const http = client(t, { ...streams, connect }, { upstreams, lookUp, retries: 0, sendProxy: 'v1' });
    const how = context();
    t.equal((await ask(http, request(), how).ended()).shown, '200 ok');
    t.equal(how.retries, 0);
    t.strictSame(tried, ['127.0.0.3', '::1', '127.0.0.2'], 'families alternate');
    await ask(http).ended();
    t.strictSame(tried.slice(3), ['127.0.0.2'], 'the one that worked is tried first');
  });

  t.test(`${name}: an address that does not answer holds nobody up for long`, async (t) => {
    const server = await origin(t);
    const { lookUp } = new Names(['192.0.2.1', '127.0.0.1']);
    const connect = (one: ConnectOptions) =>
      (one.to as { address: string }).address === '127.0.0.1'
        ? streams.connect(one)
        : new Promise<never>((_, reject) =>
            one.signal?.addEventListener('abort', () => reject(one.signal!.reason)),
          );
    const upstreams = [`http://app.test:${server.port}`];
    const http = client(t, { ...streams, connect }, { upstreams, lookUp });
    const before = performance.now();
    t.equal((await ask(http).ended()).shown, '200 ok');
    const ms = performance.now() - before;
    t.ok(ms >= 240 && ms < 2000, `${ms}`);
  });

  t.test(`${name}: a name that does not resolve is a 502, and does not prevent the start`, async (t) => {
    const server = await origin(t);
    const names = new Names(undefined);
    const http = client(t, streams, { upstreams: [`http://app.test:${server.port}`], lookUp: names.lookUp });
    t.equal((await ask(http).ended()).shown, '502 the name of the upstream does not resolve');
    names.answer = ['127.0.0.1'];
    t.equal((await ask(http).ended()).shown, '200 ok', 'until it does');
  });

  t.test(`${name}: names are resolved again; what fails keeps the last answer`, async (t) => {
    const first = await origin(t, { host: '127.0.0.1' });
    const second = await origin(t, { host: '127.0.0.2', port: first.port });
    const names = new Names(['127.0.0.1']);
    const upstreams = [`http://app.test:${first.port}`];
    const http = client(t, streams, { upstreams, lookUp: names.lookUp, refresh: 50 });
    t.equal((await ask(http).ended()).shown, '200 ok');
    names.answer = undefined;
    await until('it was asked again, in vain', async () => {
      t.equal((await ask(http).ended()).shown, '200 ok');
      return names.asked > 3;
    });
    t.equal(second.visits.length, 0);
    names.answer = ['127.0.0.2'];
    await until('the new address is used', async () => {
      t.equal((await ask(http).ended()).shown, '200 ok');
      return second.visits.length > 0;
    });
    await until('connections to the old one are closed', () => first.open === 0);
    names.answer = ['127.0.0.2', '127.0.0.1'];
    const { asked } = names;
    await until('it was asked again', async () => {
      await ask(http).ended();
      return names.asked > asked + 1;
    });
    t.equal(second.sockets.length, 1, 'an address that stays keeps its connections');
  });

  t.test(`${name}: a resolver that does not answer is a 504`, async (t) => {
    const lookUp = () => new Promise<never>(() => undefined);
    const port = await freeTcpPort();
    const http = client(t, streams, {
      upstreams: [`http://app.test:${port}`],
      lookUp,
      timeouts: { connect: 100 },
    });
    t.equal((await ask(http).ended()).shown, '504 the upstream could not be connected to in time');
  });
}

t.test('the names of a name server are used', { skip: noNameServer }, async (t) => {
  const names = await new NameServer(t).up();
  const server = await origin(t);
  names.hosts.set('app.test', '127.0.0.1');
  const program = fileURLToPath(new URL('../get-once.js', import.meta.url));
  const run = names.run([process.execPath, program, `http://app.test:${server.port}`]);
  await until('its response', () => run.stdout.includes('200 ok'), 20_000);
  t.ok(names.asked.includes('app.test'));
});
