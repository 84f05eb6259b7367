import { execFileSync } from 'node:child_process';
import { appendFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fails } from '../commands/outcome.js';
import { type Running, start, startProgram } from '../support/command.js';
import { udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

function follow(t: Test, path: string, ...args: string[]): Running {
  return start(t, 'client', ['--path', path, '--follow', '--tee', ...args]);
}

async function hasRead(client: Running, text: string): Promise<void> {
  await until(`it read ${JSON.stringify(text)}`, () => String(client.stdout).length >= text.length).catch(
    (error) => {
      throw new Error(`${error.message}; it has ${JSON.stringify(String(client.stdout))}`);
    },
  );
}

t.test('a followed file is read from its start, and on at its end, until a signal', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const file = join(t.testdir({ in: 'one\n' }), 'in');
    const client = follow(t, file);
    await hasRead(client, 'one\n');
    appendFileSync(file, 'two\n');
    await hasRead(client, 'one\ntwo\n');
    t.ok(client.running);
    t.equal(await client.stop(signal), 0);
    t.equal(String(client.stdout), 'one\ntwo\n');
  }
});

t.test('--from-end begins at the end', async (t) => {
  const file = join(t.testdir({ in: 'old\n' }), 'in');
  const client = follow(t, file, '--from-end', '--stats', '0.1');
  // A first line of stats tells that the file is open.
  await client.says('stats: ');
  appendFileSync(file, 'new\n');
  await hasRead(client, 'new\n');
  t.equal(await client.stop(), 0);
  t.equal(String(client.stdout), 'new\n');
});

t.test('a file that does not exist yet is waited for, and read from its start', async (t) => {
  for (const args of [[], ['--from-end']]) {
    const file = join(t.testdir(), 'in');
    const client = follow(t, file, ...args);
    await client.says(/following: .*in: no such file or directory; waiting for it/);
    writeFileSync(file, 'one\n');
    await hasRead(client, 'one\n');
    t.equal(await client.stop(), 0);
    t.equal(String(client.stdout), 'one\n', args.join());
  }
});

t.test('a signal ends the wait for a file that does not exist', async (t) => {
  const client = follow(t, join(t.testdir(), 'in'));
  await client.says('waiting for it');
  t.equal(await client.stop(), 0);
});

t.test('a truncated file is read from its start', async (t) => {
  const file = join(t.testdir({ in: 'one\ntwo\n' }), 'in');
  const client = follow(t, file);
  await hasRead(client, 'one\ntwo\n');
  truncateSync(file);
  appendFileSync(file, 'new\n');
  await client.says('truncated');
  await hasRead(client, 'one\ntwo\nnew\n');
  t.equal(await client.stop(), 0);
  t.equal(String(client.stdout), 'one\ntwo\nnew\n');
});

t.test('a renamed file is read to its end before the new one of its name', async (t) => {
  const file = join(t.testdir({ in: 'one\n' }), 'in');
  const client = follow(t, file);
  await hasRead(client, 'one\n');
  let expected = 'one\n';
  for (let i = 0; i < 5; i++) {
    renameSync(file, `${file}.${i}`);
    appendFileSync(`${file}.${i}`, `late ${i}\n`);
    // What is written after another has the name may be too late.
    writeFileSync(file, `first ${i}\n`);
    expected += `late ${i}\nfirst ${i}\n`;
    await hasRead(client, expected);
  }
  t.equal(await client.stop(), 0);
  t.equal(String(client.stdout), expected);
});

t.test('a file that is moved away is read on until another has its name', async (t) => {
  const file = join(t.testdir({ in: 'one\n' }), 'in');
  const client = follow(t, file);
  await hasRead(client, 'one\n');
  renameSync(file, `${file}.1`);
  appendFileSync(`${file}.1`, 'two\n');
  await hasRead(client, 'one\ntwo\n');
  writeFileSync(file, 'three\n');
  await hasRead(client, 'one\ntwo\nthree\n');
  t.equal(await client.stop(), 0);
});

t.test('an unfinished line never glues itself to the next file', async (t) => {
  const sink = await udpSink(t);
  const file = join(t.testdir({ in: 'whole\nbroken' }), 'in');
  const client = start(t, 'client', ['--path', file, '--follow', '--server-addr', `127.0.0.1:${sink.port}`]);
  await sink.has(6);
  renameSync(file, `${file}.1`);
  writeFileSync(file, 'next\n');
  t.equal(String(await sink.has(18)), 'whole\nbroken\nnext\n');
  t.equal(await client.stop(), 0);
  t.match(client.stderr, '1 line cut short');
});

t.test('a FIFO is opened again when its writer is gone', async (t) => {
  const path = join(t.testdir(), 'fifo');
  execFileSync('mkfifo', [path]);
  const client = follow(t, path);
  let expected = '';
  for (const word of ['one', 'two', 'three']) {
    const writer = startProgram(t, 'sh', ['-c', 'echo "$1" >"$0"', path, word]);
    t.equal(await writer.exited, 0);
    expected += `${word}\n`;
    await hasRead(client, expected);
  }
  t.ok(client.running);
  t.equal(await client.stop(), 0);
  t.equal(String(client.stdout), expected);
});

t.test('stdin cannot be followed', async (t) => {
  await fails(t, 'client', ['--path', '-', '--follow', '--tee'], 2, '--follow');
});

t.test('a directory is waited for to become a file', async (t) => {
  const client = follow(t, t.testdir());
  await client.says(/it is a directory; waiting for it/);
  t.equal(await client.stop(), 0);
});

t.test(
  'a file that was truncated and has grown past the old position meanwhile is read from its start',
  async (t) => {
    const file = join(t.testdir({ in: 'one\ntwo\n' }), 'in');
    const client = follow(t, file);
    await hasRead(client, 'one\ntwo\n');
    client.child.kill('SIGSTOP');
    truncateSync(file, 0);
    appendFileSync(file, 'three\nfour\nfive\n');
    client.child.kill('SIGCONT');
    await hasRead(client, 'one\ntwo\nthree\nfour\nfive\n');
    await client.says('following: ');
    t.match(client.stderr, `mproxy-client: following: ${file}: truncated; going on from its start\n`);
    t.equal(await client.stop(), 0);
    t.equal(String(client.stdout), 'one\ntwo\nthree\nfour\nfive\n');
  },
);

t.test('a file of the same size with other bytes is read from its start', async (t) => {
  const file = join(t.testdir({ in: 'aaaa\nbbbb\n' }), 'in');
  const client = follow(t, file);
  await hasRead(client, 'aaaa\nbbbb\n');
  client.child.kill('SIGSTOP');
  truncateSync(file, 0);
  appendFileSync(file, 'cccc\ndddd\n');
  client.child.kill('SIGCONT');
  await hasRead(client, 'aaaa\nbbbb\ncccc\ndddd\n');
  t.equal(await client.stop(), 0);
  t.equal(String(client.stdout), 'aaaa\nbbbb\ncccc\ndddd\n');
});

t.test(
  'copytruncate, round after round: every line that was there to be read arrives, once and in order',
  async (t) => {
    const file = join(t.testdir({ in: '' }), 'in');
    const client = follow(t, file);
    let expected = '';
    let line = 0;
    for (let round = 0; round < 30; round++) {
      // Each file is longer than the one before: its size alone would not show that it is another.
      const text = Array.from({ length: 10 * (round + 1) }, () => `line ${line++}\n`).join('');
      expected += text;
      appendFileSync(file, text);
      await hasRead(client, expected);
      client.child.kill('SIGSTOP');
      truncateSync(file, 0);
      const next = Array.from({ length: 10 * (round + 2) }, () => `line ${line++}\n`).join('');
      expected += next;
      appendFileSync(file, next);
      client.child.kill('SIGCONT');
      await hasRead(client, expected);
      truncateSync(file, 0);
    }
    t.equal(await client.stop(), 0);
    t.ok(String(client.stdout) === expected, 'every line');
  },
);

t.test('--from-end notices that the file was overwritten, too', async (t) => {
  const file = join(t.testdir({ in: 'old\n'.repeat(3000) }), 'in');
  const client = follow(t, file, '--from-end', '--stats', '0.1');
  await client.says('stats: ');
  client.child.kill('SIGSTOP');
  writeFileSync(file, 'new\n'.repeat(4000));
  client.child.kill('SIGCONT');
  await hasRead(client, 'new\n'.repeat(4000));
  t.equal(await client.stop(), 0);
  t.ok(String(client.stdout) === 'new\n'.repeat(4000));
});
