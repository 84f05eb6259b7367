import { get } from 'node:http';
import t, { type Test } from 'tap';
import { freeTcpPort, freeUdpPort, udpSend, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';
import { ask, startShown } from './http.js';

const LISTEN = ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0'];

async function json(url: string) {
  return JSON.parse((await ask(url)).body);
}

/** What `/events` sends, until the test ends. */
function events(t: Test, url: string): () => string {
  let text = '';
  const request = get(`${url}/events`, { agent: false }, (response) => {
    response.on('data', (chunk) => {
      text += chunk;
    });
  });
  request.on('error', () => undefined);
  t.teardown(() => request.destroy());
  return () => text;
}

t.test('/history: a loss is that of the destination that had it', async (t) => {
  const sink = await udpSink(t);
  const [good, bad] = [`127.0.0.1:${sink.port}`, `127.0.0.1:${await freeUdpPort()}`];
  const to = ['--udp-downstream-addr', good, '--udp-downstream-addr', bad];
  const { program, url } = await startShown(t, 'forward', ['--udp-listen-addr', '127.0.0.1:0', ...to]);
  const port = await program.port();
  const sum = (list: number[]) => list.reduce((all, one) => all + one, 0);
  const before = Date.now();
  let history = await json(`${url}/history`);
  await until(
    'two steps',
    async () => {
      await udpSend(port, ['line\n']);
      history = await json(`${url}/history`);
      return sum(history.routes[0]?.sinks[1]?.lost ?? []) > 0;
    },
    20_000,
  );
  const [{ source, sinks }] = history.routes;
  t.match([source, ...sinks], [{ name: '127.0.0.1:0' }, { name: good }, { name: bad }]);
  t.ok(sum(source.received) > 0 && sum(sinks[0].sent) > 0);
  t.equal(sum(source.lost), 0);
  t.equal(sum(sinks[0].lost), 0);
  t.equal(source.received.length, sinks[1].lost.length, 'one for each step');
  t.ok(Date.parse(history.time) >= before - 5000 && Date.parse(history.time) <= Date.now());
});

t.test('/events: notices name the program, as --log json does', async (t) => {
  const { url } = await startShown(t, 'server', LISTEN);
  const text = events(t, url);
  await until('a notice', () => /event: notice\ndata: (\{.*\})\n/.test(text()));
  const notice = JSON.parse(/event: notice\ndata: (\{.*\})\n/.exec(text())![1]!);
  t.strictSame(Object.keys(notice), ['time', 'level', 'program', 'event', 'text', 'fields']);
  t.equal(notice.program, 'mproxy-server');
});

t.test('problems are those of peers, too; a peer that is gone keeps its last figures', async (t) => {
  const down = `tcp://127.0.0.1:${await freeTcpPort()}`;
  const args = ['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', down];
  const peer = await startShown(t, 'forward', args);
  const { url } = await startShown(t, 'server', [...LISTEN, '--status-peer', peer.url]);
  const stats = () => json(`${url}/stats`);
  const of = `${peer.url}/`;
  const found = [{ text: `${down}: not connected: connection refused`, peer: of }];
  await until('its problem', async () => /refused/.test((await stats()).problems[0]?.text), 10_000);
  const before = await stats();
  t.match(before, { healthy: true, problems: found, peers: [{ url: of, error: undefined }] });
  t.equal(before.wellSince, undefined);
  t.ok(Date.parse(before.problems[0].since) <= Date.parse(before.time));
  await peer.program.stop();
  await until('it is gone', async () => (await stats()).peers[0].error !== undefined, 10_000);
  const after = await stats();
  t.match(after.problems, [{ text: 'no contact: connection refused', peer: of }]);
  t.match(after.peers, [{ stats: { program: 'mproxy-forward', routes: [{ sinks: [{ name: down }] }] } }]);
  t.ok(Date.parse(after.peers[0].since) > Date.parse(before.time), 'since contact was lost');
});
