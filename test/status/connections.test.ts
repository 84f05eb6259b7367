import t from 'tap';
import { freeTcpPort, sendSteadily, tcpServer } from '../support/net.js';
import { until } from '../support/wait.js';
import { ask, sample, startShown } from './http.js';

const RECEIVE = ['--udp-listen-addr', '127.0.0.1:0'];

t.test('health: a connection that is not there fails it, and is named with the reason', async (t) => {
  const to = `tcp://127.0.0.1:${await freeTcpPort()}`;
  const { program, url } = await startShown(t, 'forward', [...RECEIVE, '--udp-downstream-addr', to]);
  const health = () => ask(`${url}/healthz`);
  const reason = `${to}: not connected: connection refused`;
  await until('it was tried', async () => (await health()).body === `${reason}\n`);
  t.equal((await health()).status, 503);
  t.equal(sample((await ask(`${url}/metrics`)).body, 'mproxy_healthy'), 0);
  t.match(JSON.parse((await ask(`${url}/stats`)).body), {
    ...{ state: 'running', healthy: false, reason, problems: [{ text: reason }] },
    routes: [{ sinks: [{ name: to, disconnected: 'connection refused' }] }],
  });
  await tcpServer(t, (socket) => socket.resume(), Number(new URL(to).port));
  await until('it is connected', async () => (await health()).status === 200, 30_000);
  t.equal(sample((await ask(`${url}/metrics`)).body, 'mproxy_healthy'), 1);
  t.equal(await program.stop(), 0);
});

t.test('health: an upstream that is lost fails it, and its silence is no second problem', async (t) => {
  const upstream = await tcpServer(t, (socket) => socket.end('line\n'));
  const from = `127.0.0.1:${upstream.port}`;
  const args = ['--tcp-connect-addr', from, '--tee', '--health-idle', '100ms'];
  const { url } = await startShown(t, 'forward', args);
  const stats = async () => JSON.parse((await ask(`${url}/stats`)).body);
  upstream.server.close();
  const reason = `${from}: not connected: connection refused`;
  await until('it is lost', async () => (await stats()).reason === reason, 20_000);
  const { problems } = await stats();
  t.strictSame(
    problems.map(({ text }: { text: string }) => text),
    [reason],
  );
});

t.test('what was dropped without a connection is not said to be slow', async (t) => {
  const to = `tcp://127.0.0.1:${await freeTcpPort()}`;
  const sinks = ['--udp-downstream-addr', to, '--client-buffer', '64KiB'];
  const { program, url } = await startShown(t, 'forward', [...RECEIVE, ...sinks]);
  sendSteadily(t, await program.port());
  await program.says(/dropped [\d,]+ datagrams?: not connected: connection refused; see --client-buffer\n/);
  t.match(JSON.parse((await ask(`${url}/stats`)).body), {
    losses: [
      { counter: 'dropped', reason: 'not connected: connection refused', remedy: 'see --client-buffer' },
    ],
  });
});
