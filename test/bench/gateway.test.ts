import { spawnSync } from 'node:child_process';
import t, { type Test } from 'tap';
import type { Contestant } from '../../bench/contestant.js';
import { gatewayVerdicts } from '../../bench/gateway-goals.js';
import { gateways } from '../../bench/gateways.js';
import { fullLoads, type Load } from '../../bench/loads.js';
import { buildNative, native } from '../../bench/native.js';
import { freeTcpPort, isListening, until } from '../../bench/ports.js';
import { Helper, Program } from '../../bench/program.js';
import { Results } from '../../bench/results.js';
import { NOTHING, type Sample } from '../../bench/sample.js';

const SIZE = 1000;
const skip =
  process.platform !== 'linux'
    ? 'epoll is Linux'
    : spawnSync('cc', ['--version']).status !== 0 && 'cc is not installed';

t.test('a goal is a ratio to a program that was measured, and includes its bound', (t) => {
  const kept = load('gateway', '64 kept connections, 100 B');
  const samples = {
    mproxy: { cost: 10, delivered: 1 },
    'mproxy, engine node': { cost: 20, delivered: 1 },
    'bare C loop': { cost: 7 },
    nginx: { cost: 10.5 },
    'http-proxy': { cost: 39 },
  };
  t.strictSame(verdicts(kept, samples), [
    'every answer right: 100.00 %, true',
    "requests a CPU second >= 1.05 of nginx's: 1.05, true",
    "CPU <= 1.35 of bare C loop's: 1.43, false",
    "mproxy, engine node: requests a CPU second >= 2 of http-proxy's: 1.95, false",
  ]);
  const paced = load('gateway', '5,000 requests/s, 64 kept connections, 100 B');
  const latencies = { mproxy: { mean: 121, delivered: 0.9999 }, nginx: { mean: 100 } };
  t.strictSame(verdicts(paced, latencies), [
    'every answer right: 99.99 %, false',
    "mean latency <= 1.2 of nginx's: 1.21, false",
  ]);
  const tls = load('gateway', 'TLS, 64 kept connections, 100 B');
  const costs = { mproxy: { cost: 10, delivered: 1 }, nginx: { cost: 10 }, haproxy: { cost: 11 } };
  t.strictSame(verdicts(tls, costs), [
    'every answer right: 100.00 %, true',
    "requests a CPU second >= 1.05 of nginx's: 1.00, false",
    "requests a CPU second >= 1.05 of haproxy's: 1.10, true",
  ]);
  const start = load('start', '5,000 idle connections');
  t.strictSame(verdicts(start, { mproxy: { starts: 3, rss: 100e6, idle: 8193 } }), [
    'first answer in <= 3 times `node -e 0`: 3.00, true',
    'memory at rest <= 100 MB: 100 MB, true',
    'an idle connection <= 8 KB: 8.00 KB, false',
  ]);
  const idle = load('start', '2,000 idle TLS connections');
  t.strictSame(verdicts(idle, { mproxy: { starts: 4, rss: 200e6, idle: 40960 } }), [
    'an idle connection <= 40 KB: 40.0 KB, true',
  ]);
  const echo = load('gateway', '64 WebSockets, messages of 100 B');
  const messages = { mproxy: { cost: 10, delivered: 1 }, nginx: { cost: 5 }, haproxy: { cost: 9.9 } };
  t.strictSame(verdicts(echo, messages), [
    'every answer right: 100.00 %, true',
    "requests a CPU second >= 1 of haproxy's: 0.99, false",
  ]);
  const resumed = load('gateway', 'TLS, a resumed handshake for each request, 100 B');
  t.strictSame(verdicts(resumed, costs), [
    'every answer right: 100.00 %, true',
    "requests a CPU second >= 0.9 of nginx's: 1.00, true",
  ]);
  t.end();
});

t.test('reverse proxies take part in the gateway alone', (t) => {
  const place = { in: 1, out: 2, file: '/nowhere' };
  const roles = fullLoads().filter((load) => gateways().some((one) => one.command(load, place)));
  t.strictSame([...new Set(roles.map(({ role }) => role))], ['gateway', 'start']);
  t.end();
});

t.test('the load counts whole answers with the right length', { skip }, async (t) => {
  buildNative();
  const { origin, loop } = await chain(t);
  for (const port of [origin, loop]) {
    const kept = await ask(port, SIZE, 0, 'kept');
    t.ok(kept.answered! > 0);
    t.equal(kept.failed, 0);
    const paced = await ask(port, SIZE, 1000, 'kept');
    t.match(paced, { asked: 300, answered: 300, failed: 0 });
  }
  const fresh = await ask(loop, SIZE, 0, 'new');
  t.ok(fresh.answered! > 0, 'a connection for each request');
  t.equal(fresh.failed, 0);
  t.match(await ask(loop, SIZE, 0, 'idle'), { asked: 8, answered: 8, failed: 0 });
  for (const size of [SIZE - 1, SIZE + 1, 10]) {
    const { answered, failed } = await ask(loop, size, 0, 'kept');
    t.equal(answered, 0, `${size} bytes`);
    t.ok(failed! > 0);
  }
});

t.test('the load counts messages of WebSockets that come back whole', { skip }, async (t) => {
  buildNative();
  const { origin } = await chain(t, 100);
  const { answered, failed } = await ask(origin, 100, 0, 'echo');
  t.ok(answered! > 0);
  t.equal(failed, 0);
  const longer = await ask(origin, 110, 0, 'echo');
  t.equal(longer.answered, 0);
  t.ok(longer.failed! > 0);
});

t.test('the load counts an answer that is missing or is an error', { skip }, async (t) => {
  buildNative();
  const port = await freeTcpPort();
  const answers =
    "socket.on('data', () => (++n % 2 ? 0 : socket.end('HTTP/1.1 502 Bad\\r\\nContent-Length: 1000\\r\\n\\r\\n')))";
  const script = `let n = 0; require('net').createServer((socket) => ${answers}).listen(${port}, '127.0.0.1')`;
  const server = new Program({ argv: [process.execPath, '-e', script] });
  t.teardown(() => server.stop());
  await until('server', () => isListening(port));
  const { answered, asked, failed } = await ask(port, SIZE, 100, 'kept');
  t.equal(answered, 0);
  t.equal(failed, asked);
});

function load(role: Load['role'], name: string): Load {
  return fullLoads().find((one) => one.role === role && one.name === name)!;
}

function verdicts(load: Load, samples: Record<string, Partial<Sample>>): string[] {
  const results = new Results();
  for (const [name, sample] of Object.entries(samples)) {
    const contestant: Contestant = { name, kind: 'peer', command: () => undefined };
    results.add(load, contestant).samples.push({ ...NOTHING, ...sample });
  }
  return gatewayVerdicts(results, load).map(({ goal, measured, met }) => `${goal}: ${measured}, ${met}`);
}

/** An origin, and the bare loop in front of it. @returns their ports */
async function chain(t: Test, size = SIZE): Promise<{ origin: number; loop: number }> {
  const [origin, loop] = [await freeTcpPort(), await freeTcpPort()];
  for (const argv of [
    [native('http-origin'), `${origin}`, `${size}`],
    [native('loop-http'), `${loop}`, `${origin}`],
  ]) {
    const program = new Program({ argv });
    t.teardown(() => program.stop());
  }
  await until('listeners', () => isListening(origin) && isListening(loop));
  return { origin, loop };
}

function ask(port: number, size: number, rate: number, mode: string): Promise<Record<string, number>> {
  return new Helper(native('http-load'), port, 8, size, 0.3, rate, mode).findings;
}
