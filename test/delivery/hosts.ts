import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { start } from '../support/command.js';
import { lan } from '../support/namespace.js';

const GROUP = '239.7.7.7:9922,interface=eth0';
const RECEIVERS = 3;
/** Every so many lines one does not fit a packet. */
const LONG_EVERY = 1000;
const LONG = 3000;
const NEWLINE = 10;

/**
 * Sends a file from one host to a group, and receives it on three others, each of which loses a part of all UDP that
 * it receives and of all that it sends. Fails unless all three have the same bytes as the file.
 * @param lose from 0 to 1
 */
export async function fileToThree(t: Test, bytes: number, lose: number, rate: string): Promise<void> {
  const { hosts } = lan(t, RECEIVERS + 1);
  const [sender, ...receivers] = hosts;
  for (const { run } of receivers.map((host) => ({ run: host.run.bind(host) })))
    for (const chain of lose > 0 ? ['INPUT', 'OUTPUT'] : [])
      run('iptables', '-w', '-A', chain, '-p', 'udp', ...randomly(lose), '-j', 'DROP');
  const folder = t.testdir({});
  const input = join(folder, 'in');
  const content = lines(bytes);
  writeFileSync(input, content);
  const servers = receivers.map((host, i) => {
    const path = join(folder, `out${i}`);
    const args = ['--listen-addr', GROUP, '--frame', 'mold', '--path', path, '--once', '--from-start'];
    return { path, host, running: start(t, 'server', args, { namespace: host.name }) };
  });
  for (const { running } of servers) await running.says('listening: group');

  const begin = performance.now();
  const flags = ['--path', input, '--server-addr', GROUP, '--frame', 'mold', '--rate', rate];
  const client = start(t, 'client', flags, { namespace: sender!.name });
  await Promise.all(servers.map(({ running }) => running.exited));
  const seconds = (performance.now() - begin) / 1000;
  for (const { path, host, running } of servers) {
    t.equal(running.status, 0, running.stderr);
    t.ok(readFileSync(path).equals(content), 'the same bytes');
    const dropped =
      lose > 0
        ? ['INPUT', 'OUTPUT'].map((chain) => droppedBy(host.run('iptables', '-w', '-nvxL', chain)))
        : [0, 0];
    t.comment(`dropped ${dropped.join(' in, ')} out; ${running.stderr.trim().split('\n').at(-1)}`);
    if (lose > 0) t.ok(dropped[0]! > 0, 'some of it was lost on the way');
    if (lose > 0) t.match(running.stderr, /ended: .* [1-9][\d,]* repaired/);
  }
  t.equal(await client.exited, 0, client.stderr);
  const wire = Number(sender!.run('cat', '/sys/class/net/eth0/statistics/tx_bytes'));
  t.comment(
    `${seconds.toFixed(2)} s, ${(wire / bytes).toFixed(3)} of the file on the wire; ${client.stderr.trim().split('\n').at(-1)}`,
  );
}

/** Numbered lines of many lengths; the last ends anywhere. */
function lines(bytes: number): Buffer {
  const content = Buffer.alloc(bytes, '.');
  for (let i = 0, at = 0; at < bytes; i++) {
    at += content.write(`${i}`, at, 'latin1');
    at += i % LONG_EVERY === 0 ? LONG : (i * 37) % 150;
    if (at < bytes) content[at++] = NEWLINE;
  }
  return content;
}

function randomly(probability: number): string[] {
  return ['-m', 'statistic', '--mode', 'random', '--probability', `${probability}`];
}

/** The packets that a chain's rule dropped, by its counter. */
function droppedBy(listing: string): number {
  return Number(/^ *(\d+) +\d+ DROP/m.exec(listing)![1]);
}
