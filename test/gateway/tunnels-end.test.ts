// What becomes of tunnels when the program, or one of its workers, ends.
import t, { type Test } from 'tap';
import { type TunnelEnd, type TunnelOrigin, tunnel, tunnelOrigin } from '../service/tunnels.js';
import { start } from '../support/command.js';
import { until } from '../support/wait.js';
import { gateway, IS_NODE, refusal } from './running.js';

async function open(t: Test, count: number, ...args: string[]) {
  const origin = await tunnelOrigin(t);
  const route = ['--route', `/=${origin.url}`];
  const running = start(t, 'gateway', ['--listen-addr', '127.0.0.1:0', ...route, '--workers', '2', ...args]);
  const port = await running.port();
  return { running, port, tunnels: await tunnels(t, port, origin, count) };
}

async function tunnels(t: Test, port: number, origin: TunnelOrigin, count: number) {
  const all: { client: TunnelEnd; upstream: TunnelEnd }[] = [];
  for (let i = 0; i < count; i++) all.push(await tunnel(t, port, origin));
  return all;
}

async function passes({ client, upstream }: { client: TunnelEnd; upstream: TunnelEnd }, text: string) {
  client.send(`to ${text}`);
  await upstream.has(`to ${text}`);
  upstream.send(`from ${text}`);
  await client.has(`from ${text}`);
}

t.test('a stop waits for tunnels, which go on until they end by themselves', async (t) => {
  const { running, port, tunnels } = await open(t, 3);
  running.child.kill('SIGTERM');
  await until('new ones are refused', async () => (await refusal(port)) === 'ECONNREFUSED');
  for (const one of tunnels) {
    await passes(one, 'after the stop');
    t.equal(one.client.end, 'open');
    t.ok(running.running);
    one.client.socket.end();
    await one.upstream.ended();
    one.upstream.socket.end();
    await one.client.ended();
  }
  t.equal(await running.exited, 0);
  t.notMatch(running.stderr, /lost|cut/);
});

t.test('--grace: tunnels that are left are cut on both sides, and counted', async (t) => {
  const { running, tunnels } = await open(t, 3, '--grace', '300ms');
  running.child.kill('SIGTERM');
  t.equal(await running.exited, 0);
  t.match(running.stderr, /stopped: 3 connections did not end within 300 ms, and were cut/);
  for (const { client, upstream } of tunnels) {
    await Promise.all([client.ended(), upstream.ended()]);
    t.equal(client.end, 'reset', 'it does not look complete');
  }
});

t.test('a worker that dies takes its tunnels with it, and no others', async (t) => {
  const workers = IS_NODE ? 1 : 4;
  const origin = await tunnelOrigin(t);
  const running = await gateway(t, { route: `/=${origin.url}`, workers });
  await until('all workers are there', () => running.workers.length === workers);
  const all = await tunnels(t, running.port, origin, 40);
  const now = () => running.metric('http_tunnels', { route: '/' });
  await until('all are counted', () => now() === 40);
  void running.workers[0]!.terminate();
  const { fields } = await running.notice('worker_failed');
  await until(
    'its clients know',
    () => all.filter(({ client }) => client.end !== 'open').length === fields.connections,
  );
  const [ended, left] = [
    all.filter(({ client }) => client.end !== 'open'),
    all.filter(({ client }) => client.end === 'open'),
  ];
  t.ok(ended.length > 0);
  if (!IS_NODE) t.ok(left.length > 0, `${ended.length} of 40 ended`);
  await Promise.all(ended.map(({ upstream }) => upstream.ended()));
  for (const one of left) await passes(one, 'what is left');
  t.equal(now(), left.length);
  t.equal(running.metric('http_requests_lost'), 0, 'tunnels are no requests');
  await until('it is replaced', () => running.metric('workers') === workers);
  const next = await tunnel(t, running.port, origin);
  await passes(next, 'a new one');
  await until('it is counted', () => now() === left.length + 1);
  t.equal(running.metric('http_upgrades', { route: '/' }), 41);
  for (const { client } of [...left, next]) client.socket.resetAndDestroy();
  await until('none is left', () => now() === 0);
});
