import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { loopbackGroup } from '../support/group.js';
import { freeUdpPort } from '../support/net.js';
import { until } from '../support/wait.js';
import { Feed, has, numbered, receive } from './feed.js';

t.test('a receiver that starts late gets all with --from-start, else all from its start', async (t) => {
  const group = await loopbackGroup(); // on lo
  const listen = ['--listen-addr', group.address, '--path', '-', '--once'];
  const early = receive(t, 'server', listen);
  await early.port();
  const feed = new Feed(t, group.address);
  feed.send(20_000);
  await has(early, 'line 20000\n');
  const all = receive(t, 'server', [...listen, '--from-start']);
  const rest = receive(t, 'server', listen);
  await Promise.all([all.port(), rest.port()]);
  feed.send(5000);
  await has(rest, 'line 25000\n');
  t.equal(await feed.end(), 0, feed.client.stderr);
  for (const one of [early, all, rest]) t.equal(await one.exited, 0, one.stderr);
  t.equal(String(all.stdout), feed.text);
  t.equal(String(early.stdout), feed.text);
  t.equal(String(rest.stdout), numbered(20_001, 5000), 'from the first packet that came');
  t.match(rest.stderr, /from message 20001\n/);
  t.match(all.stderr, /from message 1\n/);
  t.match(all.stderr, / 20,000 repaired, .* 0 lost/);
});

t.test('a receiver that is killed and started again with --from-start ends complete', async (t) => {
  const group = await loopbackGroup(); // on lo
  const folder = t.testdir({});
  const [first, fresh] = [join(folder, 'first'), join(folder, 'fresh')];
  const listen = ['--listen-addr', group.address, '--from-start', '--path'];
  const killed = receive(t, 'server', [...listen, first]);
  await killed.port();
  const feed = new Feed(t, group.address);
  feed.send(20_000);
  await until('the first part', () => readFileSync(first).length === feed.text.length);
  await killed.kill();
  feed.send(20_000);
  const before = readFileSync(first, 'utf8');
  const [again, appending] = [fresh, first].map((path) => receive(t, 'server', [...listen, path, '--once']));
  await Promise.all([again!.port(), appending!.port()]);
  feed.send(1);
  await until('all of it', () => readFileSync(fresh).length === feed.text.length);
  t.equal(await feed.end(), 0, feed.client.stderr);
  t.equal(await again!.exited, 0, again!.stderr);
  t.equal(readFileSync(fresh, 'utf8'), feed.text);
  t.equal(await appending!.exited, 0, appending!.stderr);
  t.equal(readFileSync(first, 'utf8'), before + feed.text, 'all once more, behind what was there');
});

t.test('a sender that is killed is told, and its successor followed', async (t) => {
  const group = await loopbackGroup(); // on lo
  const server = receive(t, 'server', [
    ...['--listen-addr', group.address, '--path', '-', '--repair-timeout', '1s'],
  ]);
  await server.port();
  const bind = ['--bind', `127.0.0.1:${await freeUdpPort()}`];
  const first = new Feed(t, group.address, bind, 'first');
  first.send(1000);
  await has(server, 'first 1000\n');
  await first.client.kill();
  const names = [await first.session()];
  // From the same address and from another; the first of them comes before anybody knows that its forerunner is gone.
  for (const [word, flags] of [['second', bind] as const, ['third', []] as const]) {
    const next = new Feed(t, group.address, [...flags], word);
    next.send(1000);
    await has(server, `${word} 1000\n`);
    t.equal(await next.end(), 0, next.client.stderr);
    names.push(await next.session());
  }
  t.equal(new Set(names).size, 3);
  await server.says('its sender is gone', 30_000);
  await server.stop();
  const words = ['first', 'second', 'third'];
  t.equal(String(server.stdout), words.map((word) => numbered(1, 1000, word)).join(''));
  const [gone] = server.stderr.match(/^.*its sender is gone.*$/m)!;
  t.match(gone, new RegExp(`session ${names[0]} of 127\\.0\\.0\\.1:\\d+: nothing received for \\d`));
  t.equal(server.stderr.match(/its sender is gone/g)?.length, 1, 'the others ended');
});
