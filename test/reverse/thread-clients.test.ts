import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { type Notice, Program } from 'mproxy-flow';
import { listeners } from 'mproxy-flow/endpoints/tcp/open';
import { tcpListener } from 'mproxy-flow/endpoints/tcp/type';
import { opener } from 'mproxy-flow/endpoints/udp/open';
import { openUdpSources } from 'mproxy-flow/endpoints/udp/source';
import { udp } from 'mproxy-flow/endpoints/udp/type';
import { parseAddress } from 'mproxy-net/address';
import t, { type Test } from 'tap';
import { ENGINES } from '../net/engines.js';
import { until } from '../support/wait.js';

/** A client in a thread of its own, which sends datagrams and reads what comes of them, whatever this thread does. */
const CLIENT = `
const { parentPort, workerData: { tcp, udp, done } } = require('node:worker_threads');
const socket = require('node:net').connect(tcp, '127.0.0.1');
socket.on('connect', () => parentPort.postMessage('connected'));
parentPort.on('message', (expected) => {
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
    if (text.length < expected.length) return;
    Atomics.store(new Int32Array(done), 0, text === expected ? 1 : 2);
    Atomics.notify(new Int32Array(done), 0);
  });
  const sender = require('node:dgram').createSocket('udp4');
  for (const [i, line] of expected.split(/(?<=\\n)/).entries()) sender.send(line, udp[i % udp.length], '127.0.0.1');
});
`;
const WAIT_MS = 3000;

/** UDP sources with one TCP listener for clients, in this process. */
async function open(t: Test, engine: string, sources: number) {
  const notices: Notice[] = [];
  const program = new Program({ engine, onNotice: (notice) => notices.push(notice) });
  const ports: number[] = [];
  let sinkCounts!: () => { datagrams: number; dropped: number; clients?: { now: number; ever: number } };
  const { listening } = await program.open(async () => {
    const values = { clientBuffer: 2 ** 20, clientTimeout: 0, maxClients: 10, payload: 1400 };
    const rule = { flag: '--to', keys: [], listens: true };
    const local = { ip: '127.0.0.1', family: 4 as const, port: 0 };
    const target = {
      type: tcpListener,
      opener: listeners,
      address: tcpListener.parse('127.0.0.1:0', rule, {}),
      answers: [local],
    };
    const [sink] = await listeners.openSinks!(program, [target], { frame: undefined, payload: 1400, values });
    sinkCounts = () => sink!.counts;
    for (let i = 0; i < sources; i++) {
      const address = parseAddress('127.0.0.1:0', rule, {});
      const from = { type: udp, opener, address, answers: [local] };
      const [source] = await openUdpSources(program, from, { payload: 1400, values });
      ports.push(source!.local.port);
      void program.route(source!, [sink!], { shared: sources > 1 });
    }
  });
  const done = new SharedArrayBuffer(4);
  const workerData = { tcp: listening[0]!.port, udp: ports, done };
  const client = new Worker(CLIENT, { eval: true, workerData, execArgv: [] });
  t.teardown(() => client.terminate());
  await once(client, 'message');
  await until('the client joined', () => sinkCounts().clients?.now === 1);
  return { program, notices, client, done: new Int32Array(done), counts: () => sinkCounts() };
}

const LINES = Array.from({ length: 500 }, (_, i) => `line ${i}\n`).join('');

t.test(
  'linux engine: a client gets datagrams while the event loop does nothing at all',
  { skip: !ENGINES.some(({ name }) => name === 'linux') && 'no threads' },
  async (t) => {
    const { program, client, done, counts } = await open(t, 'linux', 1);
    client.postMessage(LINES);
    // This blocks the event loop of the program.
    Atomics.wait(done, 0, 0, WAIT_MS);
    t.equal(done[0], 1, 'it has all of them');
    t.match(counts(), { datagrams: 500, dropped: 0, clients: { now: 1, ever: 1 } });
    await program.stop();
    await program.finish();
    t.match(counts(), { datagrams: 500, clients: { now: 0, ever: 1 } });
  },
);

for (const { name } of ENGINES) {
  t.test(`${name}: several sources with the same clients deliver on the event loop`, async (t) => {
    const { program, client, done, counts } = await open(t, name, 2);
    client.postMessage('line 0\n'.repeat(2));
    await until('it has as much as was sent', () => done[0] !== 0);
    t.equal(done[0], 1, 'it has those of both');
    t.match(counts(), { datagrams: 2, dropped: 0, clients: { now: 1, ever: 1 } });
    await program.stop();
    await program.finish();
  });
}
