import { createHash } from 'node:crypto';
import { createReadStream, statSync, writeFileSync } from 'node:fs';
import { VERSION } from 'mproxy-base';
import t from 'tap';
import { ask } from '../status/http.js';
import type { Name } from '../support/command.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { BareMachine, NAMES, noBareMachine } from './bare.js';
import { tryGateway } from './gateway-trial.js';

type Test = ConstructorParameters<typeof BareMachine>[0];

const SIZE = 100e6;
const skip = noBareMachine;
const group = (port: number) => `239.77.5.1:${port},interface=lo,frame=mold`;

async function machine(t: Test, options: { writable: boolean; noexec?: boolean }): Promise<BareMachine> {
  const made = new BareMachine(t, options);
  await made.up();
  return made;
}

t.test('each executable tells its version on a machine without anything else', { skip }, async (t) => {
  const bare = await machine(t, { writable: false });
  for (const name of NAMES) {
    const run = bare.start(name, ['--version']);
    t.equal(await run.exited, 0, name);
    t.equal(`${run.stdout}`, `${VERSION}\n`);
    t.equal(run.stderr, '');
  }
});

t.test(
  '100 MB go through the four that stream, on the linux engine, and nothing is left behind',
  { skip },
  async (t) => {
    const bare = await machine(t, { writable: true });
    const random = new Random();
    t.comment(`SEED=${random.seed}`);
    writeFileSync(bare.path('/tmp/in'), lines(random, SIZE));
    const common = ['--stats', '1h'];
    const server = bare.start('server', [
      ...['--listen-addr', '127.0.0.1:9001', '--frame', 'mold', '--path', '/tmp/out', '--once', ...common],
    ]);
    await server.says('listening');
    const reverse = bare.start('reverse', [
      ...['--multicast-addr', group(9002), '--udp-output-addr', '127.0.0.1:9001,frame=mold', ...common],
    ]);
    await reverse.says('listening');
    const forward = bare.start('forward', [
      ...['--udp-listen-addr', '127.0.0.1:9003,frame=mold', '--udp-downstream-addr', group(9002), ...common],
    ]);
    await forward.says('listening');
    t.strictSame(bare.litter.toSorted(), ['in', 'out'], 'what is loaded has no name while it runs, either');
    const from = ['--path', '/tmp/in', '--rate', '200Mbps'];
    const to = ['--server-addr', '127.0.0.1:9003', '--frame', 'mold'];
    const client = bare.start('client', [...from, ...to, ...common]);
    t.equal(await client.exited, 0, client.stderr);
    const size = () => statSync(bare.path('/tmp/out')).size;
    await until('all is in the file', () => size() === SIZE || !server.running, 60_000);
    // A relay's session ends with it, and the server with the session.
    t.equal(await forward.stop(), 0);
    t.equal(await reverse.stop(), 0);
    t.equal(await server.exited, 0, server.stderr);
    t.equal(await digest(bare.path('/tmp/out')), await digest(bare.path('/tmp/in')));
    for (const run of [client, server, forward, reverse]) t.match(run.stderr, /^mproxy-\w+: engine: linux$/m);
    t.strictSame(bare.litter.toSorted(), ['in', 'out']);
    t.match(statSync(bare.path('/tmp/out')), { uid: 65534, gid: 65534 }, 'nobody wrote it');
  },
);

t.test('the executables have all of the status in them', { skip }, async (t) => {
  const bare = await machine(t, { writable: true });
  const programs: [Name, string[]][] = [
    ['client', ['--path', '-', '--server-addr', '127.0.0.1:9001']],
    ['server', ['--path', '-', '--listen-addr', '127.0.0.1:9001']],
    ['forward', ['--udp-listen-addr', '127.0.0.1:9002', '--udp-downstream-addr', '127.0.0.1:9001']],
    ['reverse', ['--multicast-addr', group(9003), '--udp-output-addr', '127.0.0.1:9001']],
  ];
  for (const [name, args] of programs) {
    const run = bare.start(name, ['--status-addr', `unix:/tmp/${name}`, ...args]);
    await run.says(`status: unix:/tmp/${name}\n`);
    const read = (path: string) => ask(`http://status${path}`, { socketPath: bare.path(`/tmp/${name}`) });
    await until('it is open', async () => (await read('/healthz')).body === 'ok\n');
    t.match((await read('/')).body, /^<!doctype html>.*<\/html>\n$/s, name);
    const { body } = await read('/metrics');
    t.match(body, `mproxy_build_info{program="mproxy-${name}",version="${VERSION}"`, name);
    t.equal(await run.stop(), 0, run.stderr);
  }
  t.strictSame(bare.litter, [], 'nothing is left behind');
});

t.test('the gateway has all of its parts in it, those that are loaded later too', { skip }, async (t) => {
  const bare = await machine(t, { writable: true });
  await tryGateway(t, {
    folder: '/tmp',
    path: (inside) => bare.path(inside),
    start: (args) => bare.start('gateway', args),
  });
});

t.test(
  'the gateway starts development servers, and a module of the user configures it',
  { skip },
  async (t) => {
    const bare = await machine(t, { writable: true });
    const text =
      "export default { listen: ['unix:web'], routes: [{ path: '/', respond: { body: import.meta.url } }] };";
    writeFileSync(bare.path('/tmp/site.mjs'), text);
    const run = bare.start('gateway', ['--config', '/tmp/site.mjs', '--run', '/mproxy-gateway --version']);
    // There is no shell.
    await run.says(/--run: \/mproxy-gateway --version: /);
    const { body } = await ask('http://app/', { socketPath: bare.path('/tmp/web') });
    t.equal(body, 'file:///tmp/site.mjs');
    t.equal(await run.stop(), 0, run.stderr);
  },
);

const unloadable: [string, { writable: boolean; noexec?: boolean }, string][] = [
  ['nothing can be written', { writable: false }, 'read-only file system'],
  ['nothing that is written can be run', { writable: true, noexec: true }, 'failed to map segment'],
];
for (const [what, options, why] of unloadable) {
  t.test(`where ${what}, the node engine runs, and --stats says why`, { skip }, async (t) => {
    const bare = await machine(t, options);
    const server = bare.start('server', ['--listen-addr', '127.0.0.1:9001', '--path', '-', '--stats', '1h']);
    await server.says('listening');
    t.match(server.stderr, 'engine: node, as linux does not load: no directory to load its native part from');
    t.match(server.stderr, why);
    const forward = bare.start('forward', [
      ...['--udp-listen-addr', '127.0.0.1:9002', '--udp-downstream-addr', '127.0.0.1:9001'],
    ]);
    await forward.says('listening');
    const client = bare.start('client', ['--path', '-', '--server-addr', '127.0.0.1:9002']);
    client.child.stdin?.end('one\ntwo\n');
    t.equal(await client.exited, 0, client.stderr);
    t.equal(await forward.stop(), 0);
    t.equal(await server.stop(), 0);
    t.equal(`${server.stdout}`, 'one\ntwo\n');
    const asked = bare.start('server', [
      ...['--listen-addr', '127.0.0.1:9001', '--path', '-', '--engine', 'linux'],
    ]);
    t.equal(await asked.exited, 1);
    t.match(asked.stderr, /^mproxy-server: --engine: linux: .*; use --engine node\n$/);
  });
}

/** Lines of different lengths, from a few to a thousand bytes. */
function lines(random: Random, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i += 4) bytes.writeUInt32LE(random.next() * 2 ** 32, Math.min(i, length - 4));
  for (let i = 0; i < length; i += random.integer(2, 1000)) bytes[i] = 0x0a;
  return bytes;
}

async function digest(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest('hex');
}
