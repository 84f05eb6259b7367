import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { mock } from 'node:test';
import {
  type Handle,
  type Program,
  type Sink,
  type Source,
  type Stats,
  startProgram,
  type Target,
} from 'mproxy-flow';
import { valuesOf } from 'mproxy-flow/counter';
import { SINK_COUNTERS, SOURCE_COUNTERS } from 'mproxy-flow/counters';
import { sourceCounts } from 'mproxy-flow/counts';
import { SessionTable } from 'mproxy-flow/endpoints/mold/session-table';
import { MoldSink } from 'mproxy-flow/endpoints/mold/sink';
import { opener } from 'mproxy-flow/endpoints/udp/open';
import { openUdpSink, type UdpSink } from 'mproxy-flow/endpoints/udp/sink';
import type { NoticeLimit } from 'mproxy-flow/notices';
import { startForward } from 'mproxy-forward';
import { Batch } from 'mproxy-framing';
import { END_OF_SESSION, HEADER, HEARTBEAT, headerAlone } from 'mproxy-mold';
import type { Engine, SendCounts } from 'mproxy-net';
import { parseAddress } from 'mproxy-net/address';
import { resolver } from 'mproxy-net/resolver/resolver';
import { startServer } from 'mproxy-server';
import t, { type Test } from 'tap';
import { ENGINES } from '../net/engines.js';
import { freeUdpPort, tcpServer, udpSend } from '../support/net.js';
import { until } from '../support/wait.js';

/** How often a name is resolved again, in milliseconds. */
const RESOLVE_MS = 60_000;
const RULE = { flag: '--to', keys: [], listens: false };

/** Every counter of every route, by a name of its own. */
function counters({ routes }: Stats): Map<string, number> {
  const all = new Map<string, number>();
  const add = (where: string, counts: object, registry: Record<string, { gauge?: true }>) => {
    for (const [path, { gauge }] of Object.entries(registry))
      if (!gauge)
        for (const [value, label] of valuesOf(counts, path)) all.set(`${where} ${path} ${label}`, value);
  };
  for (const [i, { source, sinks }] of routes.entries()) {
    add(`${i}`, source, SOURCE_COUNTERS);
    for (const [j, sink] of sinks.entries()) add(`${i} -> ${j}`, sink, SINK_COUNTERS);
  }
  return all;
}

/** Looks at the counters again and again. @returns looks once more, and says what ever decreased */
function watch(t: Test, handle: Pick<Handle, 'stats'>): () => string[] {
  let last = new Map<string, number>();
  const decreased: string[] = [];
  const look = () => {
    const now = counters(handle.stats());
    for (const [name, value] of last)
      if ((now.get(name) ?? 0) < value) decreased.push(`${name}: ${value}, then ${now.get(name)}`);
    last = now;
    return decreased;
  };
  const looking = setInterval(look);
  t.teardown(() => clearInterval(looking));
  return look;
}

/** Runs a program of one route, whose source sends nothing and ends when it is stopped. */
async function run(open: (program: Program) => Promise<Sink>): Promise<Handle> {
  let end: () => void = () => undefined;
  const source: Source = {
    name: 'silent',
    counts: sourceCounts(),
    run: () =>
      new Promise((resolve) => {
        end = resolve;
      }),
    stop: () => end(),
  };
  const handle = startProgram({}, undefined, async (program) => {
    program.route(source, [await open(program)]);
  });
  await handle.ready;
  return handle;
}

t.test('every counter has a sentence of help', (t) => {
  for (const [path, { help }] of [...Object.entries(SOURCE_COUNTERS), ...Object.entries(SINK_COUNTERS)])
    t.match(help, /^[A-Z][^.]+\.$/, path);
  t.end();
});

for (const engine of ENGINES) {
  t.test(`${engine.name}: counters never decrease while a destination moves and refuses`, async (t) => {
    const addresses = ['127.0.0.2', '127.0.0.1'];
    resolver.lookUp = async () => [addresses[round++ % 2]!];
    let round = 0;
    let sink!: UdpSink;
    const handle = await run(async (program) => {
      program.engine = engine;
      const address = parseAddress(`moving.test:${await freeUdpPort()}`, RULE, {});
      const answer = { ip: '127.0.0.1', family: 4, port: address.port } as const;
      sink = await openUdpSink(program, address, answer, 'lines');
      return sink;
    });
    const look = watch(t, handle);
    const { counts } = sink;
    while (round < 20) {
      for (let i = 0; i < 20; i++) write(sink, 'line\n');
      look();
      await sink.lookUpAgain();
      look();
    }
    await handle.stop();
    t.strictSame(look(), []);
    t.ok(sink.counts.errors.ECONNREFUSED, 'refusals were counted');
    t.ok(sink.counts.datagrams > counts.datagrams);
  });

  t.test(`${engine.name}: counters never decrease while a file is rotated and reopened`, async (t) => {
    const path = join(t.testdir(), 'log');
    const server = startServer({ engine: engine.name, listenAddr: '127.0.0.1:0', path, rotateSize: '64KiB' });
    const { listening } = await server.ready;
    const look = watch(t, server);
    const written = () => server.stats().routes[0]!.sinks[0]!.datagrams;
    for (let round = 1; round <= 10; round++) {
      await udpSend(listening[0]!.port, Array(100).fill('x'.repeat(999)));
      await until('they are written', () => written() === 100 * round);
      renameSync(path, `${path}.moved${round}`);
      server.reload();
    }
    const { routes } = await server.stop();
    t.ok(routes[0]!.sinks[0]!.rotations! > 5, 'it was rotated');
    t.strictSame(look(), []);
  });
}

t.test('counters of replies never decrease while the destination of a session moves', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] });
  t.teardown(() => mock.timers.reset());
  resolver.lookUp = async () => ['127.0.0.2'];
  const senders = [new SilentSender(), new SilentSender()] as const;
  const left: SilentSender[] = [...senders];
  const handle = await run((program) => {
    const openSender = { value: async () => left.shift() };
    program.engine = Object.create(program.engine, { openSender }) as Engine;
    const type = { name: 'mold' } as Target['type'];
    const target = { type, opener, answers: [{ ip: '127.0.0.1', family: 4 as const, port: 9 }] };
    const address = parseAddress('moving.test:9', RULE, {});
    const repairRate = { unit: 'bits', perSecond: 1e9 } as const;
    const sending = { session: 'S', retain: 2 ** 20, repairRate, linger: 0, payload: 1000 };
    const options = { ...sending, waits: false, values: {} };
    return new MoldSink(program, options).open([{ ...target, address }]);
  });
  const look = watch(t, handle);
  senders[0].replies.dropped = 3;
  look();
  mock.timers.tick(RESOLVE_MS);
  await until('it moved', () => left.length === 0);
  look();
  senders[1].replies.dropped = 2;
  await handle.stop();
  t.strictSame(look(), []);
  t.equal(handle.stats().routes[0]!.sinks[0]!.mold!.unsent, 5);
});

t.test('counters of a session that is forgotten stay, and the report of what it lost', (t) => {
  const notices = { emit: () => undefined } as unknown as NoticeLimit;
  const requests = () => ({ to: undefined, room: 1000 });
  const options = { name: 'in', fromStart: true, repairTimeout: 10_000, notices, requests, deliver() {} };
  const table = new SessionTable(options, { add() {}, forget() {}, over() {} });
  const session = table.find(headerAlone('S', 10, HEARTBEAT), 0, { address: '127.0.0.1', port: 1 })!;
  session.tracker.packet(headerAlone('S', 10, HEARTBEAT), 0, HEADER, 0);
  session.tracker.abandon();
  const before = { ...table.counts };
  t.match(before, { gaps: 1, lost: 9 });
  const { lost } = table;
  t.match(lost, /^session S\?* of 127\.0\.0\.1:1: messages 1 to 9 \(9 in all\)$/);
  session.over = true;
  table.forgetOld(RESOLVE_MS + 1);
  t.strictSame([...table.values()], []);
  t.strictSame(table.counts, before);
  t.equal(table.lost, lost);
  t.end();
});

t.test('a silent session without the address of its sender is remembered, as it may come again', (t) => {
  const notices = { emit: () => undefined } as unknown as NoticeLimit;
  const requests = () => ({ to: undefined, room: 0 });
  const options = { name: 'in', fromStart: true, repairTimeout: 10_000, notices, requests, deliver() {} };
  const table = new SessionTable(options, { add() {}, forget() {}, over() {} });
  const find = (name: string) => table.find(headerAlone(name.padEnd(10), 1, HEARTBEAT), 0, undefined)!;
  for (let i = 0; i < 40; i++) find(`S${i}`).over = true;
  const ended = find('ENDED');
  ended.tracker.packet(headerAlone('ENDED', 1, END_OF_SESSION), 0, HEADER, 0);
  ended.over = true;
  table.forgetOld(RESOLVE_MS + 1);
  const left = [...table.values()].map(({ id }) => id.trim());
  t.strictSame(
    left,
    Array.from({ length: 16 }, (_, i) => `S${24 + i}`),
    'the last ones',
  );
  t.strictSame(
    [...table.named.keys()].map((id) => id.trim()),
    left,
  );
  t.end();
});

t.test('counters never decrease while TCP connections come and go', async (t) => {
  const upstream = await tcpServer(t, (socket) => socket.end('line\n'));
  const downstream = await tcpServer(t, (socket) => socket.once('data', () => socket.destroy()));
  const forward = startForward({
    tcpConnectAddr: `127.0.0.1:${upstream.port}`,
    udpDownstreamAddr: `tcp://127.0.0.1:${downstream.port}`,
  });
  const look = watch(t, forward);
  const done = () =>
    forward.stats().routes.some(({ sinks, source }) => source.reconnects > 1 && sinks[0]!.reconnects);
  await until('both connected again', () => done() === true);
  await forward.stop();
  t.strictSame(look(), []);
});

function write(sink: Sink, text: string): void {
  const batch = new Batch();
  batch.reset(Buffer.from(text));
  batch.add(0, text.length);
  sink.write(batch);
}

/** A socket that sends nothing. */
class SilentSender {
  readonly counts: SendCounts = { datagrams: 0, bytes: 0, dropped: 0, errors: {}, returned: {} };
  readonly replies: SendCounts = { ...this.counts };
  readonly sendBuffer = 0;
  send(): void {}
  room(): void {}
  abortPending(): void {}
  async close(): Promise<void> {}
}
