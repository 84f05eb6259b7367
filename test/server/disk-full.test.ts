import { execFileSync } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Feed, receive } from '../delivery/feed.js';
import { start } from '../support/command.js';
import { noMounts, smallDisk } from '../support/disk.js';
import { udpSend } from '../support/net.js';
import { until } from '../support/wait.js';

/** 30 kB, more than the disk has beside the ballast. */
const SENT = Array.from({ length: 300 }, (_, i) => `${i} ${'x'.repeat(95)}\n`);

t.test(
  'what a full disk does not take is kept, and written when there is room',
  { skip: noMounts },
  async (t) => {
    const { dir, ballast } = smallDisk(t);
    const file = join(dir, 'out');
    const server = start(t, 'server', ['--path', file, '--listen-addr', '127.0.0.1:0', '--tee']);
    const port = await server.port();
    await udpSend(port, SENT);
    await server.says(/writing: .*out: no space left on the device; keeping/);
    await until('all came', () => String(server.stdout).length === SENT.join('').length);
    t.ok(readFileSync(file).length < SENT.join('').length, 'the disk is full');
    rmSync(ballast);
    await until('the file is complete', () => readFileSync(file).length === SENT.join('').length);
    await udpSend(port, ['after\n']);
    await until('and goes on', () => readFileSync(file, 'utf8').endsWith('after\n'));
    t.equal(readFileSync(file, 'utf8'), `${SENT.join('')}after\n`);
    t.equal(await server.stop(), 0, 'nothing was lost');
  },
);

t.test('datagrams of several listeners stay whole on a disk that was full', { skip: noMounts }, async (t) => {
  const { dir, ballast } = smallDisk(t);
  const file = join(dir, 'out');
  const from = [0, 1, 2].flatMap(() => ['--listen-addr', '127.0.0.1:0']);
  const server = start(t, 'server', ['--path', file, '--merge', '--tee', ...from]);
  const ports = [await server.port(0), await server.port(1), await server.port(2)];
  const sent = ports.map((port) => SENT.slice(0, 150).map((line) => `${port} ${line}`));
  const all = sent.flat();
  const bytes = all.join('').length;
  await Promise.all(ports.map((port, i) => udpSend(port, sent[i]!)));
  await server.says('no space left on the device');
  await until('all came', () => server.stdout.length === bytes);
  rmSync(ballast);
  await until('the file is complete', () => readFileSync(file).length === bytes);
  const lines = readFileSync(file, 'utf8').split(/(?<=\n)/);
  t.same([...lines].sort(), [...all].sort(), 'none is torn');
  for (const [i, port] of ports.entries())
    t.same(
      lines.filter((line) => line.startsWith(`${port} `)),
      sent[i],
      'each listener in its order',
    );
  t.equal(await server.stop(), 0, 'nothing was lost');
});

t.test('a disk that stays full is a failure, with what was lost', { skip: noMounts }, async (t) => {
  const { dir } = smallDisk(t);
  const file = join(dir, 'out');
  const server = start(t, 'server', ['--path', file, '--listen-addr', '127.0.0.1:0', '--tee']);
  await udpSend(await server.port(), SENT);
  await until('all came', () => String(server.stdout).length === SENT.join('').length);
  await server.says('no space left on the device');
  t.equal(await server.stop(), 1);
  const whole = readFileSync(file, 'utf8')
    .split(/(?<=\n)/)
    .filter((line) => line.endsWith('\n')).length;
  const lost = /lost in all: [^\n]*out: dropped ([\d,]+) datagrams?/.exec(server.stderr)?.[1];
  t.equal(Number(lost), SENT.length - whole, server.stderr);
});

t.test(
  'of messages that a full disk takes a part of, those are told lost that are not in the file',
  {
    skip: noMounts,
  },
  async (t) => {
    const { dir } = smallDisk(t);
    const file = join(dir, 'out');
    const server = receive(t, 'server', ['--path', file, '--listen-addr', '127.0.0.1:0', '--tee']);
    // So much at once that it is written without a copy.
    const count = 20_000;
    const feed = new Feed(t, `127.0.0.1:${await server.port()}`, ['--linger', '1s']);
    feed.send(count);
    await server.says('no space left on the device');
    t.equal(await feed.end(), 0, feed.client.stderr);
    await until('the tee has all', () => server.stdout.length === feed.text.length);
    t.ok(statSync(file).size > 0, 'a part is in the file');
    const full = readFileSync(file, 'utf8');
    t.equal(full, feed.text.slice(0, full.length));
    t.equal(await server.stop(), 1);
    const whole = full.split(/(?<=\n)/).filter((line) => line.endsWith('\n')).length;
    const lost = /lost in all: [^\n]*out: dropped ([\d,]+) datagrams?/
      .exec(server.stderr)?.[1]
      ?.replaceAll(',', '');
    t.equal(Number(lost), count - whole, server.stderr);
  },
);

t.test(
  'messages that a full disk did not take are written when there is room',
  { skip: noMounts },
  async (t) => {
    const { dir, ballast } = smallDisk(t);
    execFileSync('mount', ['-o', 'remount,size=2m', dir]);
    writeFileSync(ballast, Buffer.alloc(2000 * 1024));
    const file = join(dir, 'out');
    const server = receive(t, 'server', ['--path', file, '--listen-addr', '127.0.0.1:0']);
    const feed = new Feed(t, `127.0.0.1:${await server.port()}`, ['--linger', '1s']);
    feed.send(40_000);
    await server.says('no space left on the device');
    t.equal(await feed.end(), 0, feed.client.stderr);
    rmSync(ballast);
    await until('the file is complete', () => statSync(file).size === feed.text.length);
    t.equal(readFileSync(file, 'utf8'), feed.text);
    t.equal(await server.stop(), 0, server.stderr);
  },
);

t.test(
  'a message that a full disk has a part of begins again in the next file',
  { skip: noMounts },
  async (t) => {
    const { dir } = smallDisk(t);
    const path = join(t.testdir(), 'log');
    symlinkSync(join(dir, 'out'), path);
    const server = receive(t, 'server', ['--path', path, '--listen-addr', '127.0.0.1:0', '--tee']);
    const feed = new Feed(t, `127.0.0.1:${await server.port()}`, ['--linger', '1s']);
    feed.send(20_000);
    await server.says('no space left on the device');
    t.equal(await feed.end(), 0, feed.client.stderr);
    await until('the tee has all', () => server.stdout.length === feed.text.length);
    const old = readFileSync(path, 'utf8');
    unlinkSync(path);
    server.child.kill('SIGHUP');
    await server.says('reopened');
    t.equal(await server.stop(), 0, server.stderr);
    const whole = old.slice(0, old.lastIndexOf('\n') + 1);
    t.not(whole, old, 'the disk has a part of a line');
    t.equal(whole + readFileSync(path, 'utf8'), feed.text);
  },
);

t.test('one full disk takes nothing from the other listeners', { skip: noMounts }, async (t) => {
  const { dir } = smallDisk(t);
  const typed = ['127.0.0.1:0', '[::1]:0'];
  writeFileSync(join(dir, 'more'), Buffer.alloc(12 * 1024));
  const from = typed.flatMap((address) => ['--listen-addr', address]);
  const server = start(t, 'server', ['--path', join(dir, 'out'), '--tee', ...from]);
  const ports = [await server.port(0), await server.port(1)];
  await udpSend(ports[0]!, SENT);
  await server.says('no space left on the device');
  await udpSend(ports[1]!, ['six\n'], '::1');
  await until('the tee has all', () => server.stdout.length === SENT.join('').length + 4);
  t.equal(await server.stop(), 1);
});

t.test(
  'a disk without room for another file goes on with the one, and rotates later',
  { skip: noMounts },
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'mproxy-disk-'));
    // The root, two files, and no more: a rename needs no inode, a new file does (tmpfs(5)).
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,nr_inodes=3', 'tmpfs', dir]);
    t.teardown(() => {
      execFileSync('umount', ['-l', dir]);
      rmdirSync(dir);
    });
    writeFileSync(join(dir, 'other'), '');
    const file = join(dir, 'out');
    const server = start(t, 'server', [
      ...['--path', file, '--listen-addr', '127.0.0.1:0', '--rotate-size', '64KiB'],
    ]);
    const port = await server.port();
    for (let turn = 1; turn <= 4; turn++) {
      await udpSend(port, SENT);
      await until('all is in the one', () => readFileSync(file).length === turn * SENT.join('').length);
    }
    await server.says(/rotating: .*out: no space left on the device; going on with the old file/);
    t.same(readdirSync(dir).sort(), ['other', 'out'], 'nothing is left of the attempt');
    rmSync(join(dir, 'other'));
    // It would be tried again 10 s later, and is after this at once.
    server.child.kill('SIGHUP');
    await server.says('reopened');
    await udpSend(port, ['after\n']);
    await until('it goes on', () => readFileSync(file, 'utf8') === 'after\n');
    t.equal(await server.stop(), 0, 'all was done');
  },
);

t.test('/dev/full is a full disk that can be had everywhere', async (t) => {
  const server = start(t, 'server', ['--path', '/dev/full', '--listen-addr', '127.0.0.1:0']);
  await udpSend(await server.port(), ['one\n', 'two\n']);
  await server.says('writing: /dev/full: no space left on the device; keeping');
  t.ok(server.running);
  t.equal(await server.stop(), 1);
  t.match(server.stderr, 'lost in all: /dev/full: dropped 2 datagrams');
  t.match(server.stderr, /\nmproxy-server: writing: \/dev\/full: [^\n]*\n$/);
});
