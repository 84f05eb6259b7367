import { EVENTS } from 'mproxy-flow/endpoints/events';
import { fill, type Notice } from 'mproxy-flow/events';
import { startForward } from 'mproxy-forward';
import t from 'tap';
import { freeTcpPort } from '../support/net.js';
import { until } from '../support/wait.js';

const LOST = { endpoint: 'in', counter: 'dropped', count: 2, lost: 'dropped 2 datagrams', reason: 'why' };
/** A value for every field of every event. */
const SAMPLE = {
  ...{
    action: 'receiving',
    address: '192.0.2.1',
    advice: 'do this',
    again: 2,
    answered: '192.0.2.1:2',
    answers: 2,
    asked: 2,
    by: '--allow',
  },
  ...{
    durable: 'D',
    floor: 2,
    next: 3,
    pending: 2,
    stream: 'S',
    waitMs: 5500,
    waitedMs: 5000,
    windowMs: 120_000,
  },
  ...{
    bytes: 2000,
    count: 2,
    destination: 'out',
    duplicates: 2,
    engine: 'node',
    file: 'log',
    first: 2,
    gapMs: 2000,
    gaps: 2,
  },
  ...{
    from: '192.0.2.1:3',
    instead: 'no koffi',
    interface: 'eth0',
    last: 2,
    limit: 2,
    listener: 'here',
    lost: 2,
  },
  ...{
    local: '192.0.2.1:4',
    losses: [LOST],
    memoryLimit: 2048,
    messages: 2,
    name: 'n1',
    note: 'all',
    peer: '192.0.2.1:5',
  },
  ...{
    omitted: [{ event: 'x', count: 2, text: '2 x' }],
    piece: 'log.1',
    reason: 'why',
    repaired: 2,
    seconds: 2,
  },
  ...{
    requested: '192.0.2.1:6',
    retryMs: 2000,
    server: '192.0.2.1:7',
    session: 'S',
    source: 'in',
    state: 'ended',
    subject: 'here',
  },
  ...{ task: 'rotating', text: 'words', transport: 'udp', unconfirmed: 2000, unread: 2, upstream: 'up' },
  ...{ effect: 'data are lost', unsent: 2, sockets: 2, clients: 2 },
};

t.test('the type of an event is its own, and never changes its spelling', (t) => {
  const types = EVENTS.map(({ type }) => type);
  t.ok(types.length > 40);
  t.strictSame(
    types.filter((type, i) => types.indexOf(type) !== i),
    [],
  );
  t.strictSame(
    types.filter((type) => !/^[a-z]+(_[a-z]+)*$/.test(type)),
    [],
    'snake_case',
  );
  t.end();
});

t.test('the text of an event, and its words in a summary, are made of its fields', (t) => {
  for (const event of EVENTS) {
    const { summary = '' } = event as { summary?: string };
    for (const text of [event.text(SAMPLE), fill(summary, SAMPLE)])
      t.notMatch(text, /undefined|NaN|[{}[\]]/, `${event.type}: ${text}`);
  }
  t.end();
});

t.test('message templates: formats, counts, and sections that are given or not', (t) => {
  const template = '{name}[: {why}][, after {ms:duration}]; {count:line(s)}, {bytes:bytes}';
  t.equal(fill(template, { name: '[{why}]', count: 1, bytes: 1500 }), '[{why}]; 1 line, 1.5 kB');
  const all = { name: 'a', why: 'b', ms: 500, count: 2000, bytes: 0 };
  t.equal(fill(template, all), 'a: b, after 500 ms; 2,000 lines, 0 B');
  t.end();
});

t.test('a notice has its text, the type of its event and the fields', async (t) => {
  const upstream = `127.0.0.1:${await freeTcpPort()}`;
  const notices: Notice[] = [];
  const onNotice = (notice: Notice) => void notices.push(notice);
  const forward = startForward({ tcpConnectAddr: upstream, udpDownstreamAddr: '127.0.0.1:9', onNotice });
  const failed = () => notices.find(({ event }) => event === 'upstream_failed');
  await until('it is refused', () => failed() !== undefined);
  await forward.stop();
  const { fields, text, kind } = failed()!;
  t.match(fields, { upstream, reason: 'connection refused', retryMs: Number });
  t.equal(kind, 'info');
  t.match(text, `upstream: ${upstream}: connection refused; trying again in `);
  t.strictSame(JSON.parse(JSON.stringify(fields)), fields, 'plain data');
});
