import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { launcher, start, startProgram } from '../support/command.js';
import { freeUdpPort, udpSend, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

t.test('a closed pipe behind --tee ends the tee, not the server', async (t) => {
  const file = join(t.testdir(), 'out');
  const server = start(t, 'server', ['--path', file, '--listen-addr', '127.0.0.1:0', '--tee']);
  const port = await server.port();
  await udpSend(port, ['one\n']);
  await until('the tee has it', () => String(server.stdout) === 'one\n');
  server.child.stdout!.destroy();
  await udpSend(port, ['two\n']);
  await server.says('stdout: closed by its reader');
  await udpSend(port, ['three\n']);
  await until('the file has all', () => readFileSync(file, 'utf8') === 'one\ntwo\nthree\n');
  t.ok(server.running);
  t.equal(await server.stop(), 0);
  t.notMatch(server.stderr, 'lost', 'what has no reader is not lost');
});

t.test('a closed pipe behind --tee ends the tee, not the client', async (t) => {
  const sink = await udpSink(t);
  const client = start(t, 'client', ['--path', '-', '--tee', '--server-addr', `127.0.0.1:${sink.port}`]);
  client.child.stdin!.write('one\n');
  await until('the tee has it', () => String(client.stdout) === 'one\n');
  client.child.stdout!.destroy();
  client.child.stdin!.write('two\n');
  await client.says('stdout: closed by its reader');
  client.child.stdin!.end('three\n');
  t.equal(await client.exited, 0);
  t.equal(String(await sink.has(14)), 'one\ntwo\nthree\n');
});

t.test('a closed pipe behind --tee ends the tee, not the relay', async (t) => {
  const sink = await udpSink(t);
  const to = ['--udp-downstream-addr', `127.0.0.1:${sink.port}`, '--tee'];
  const forward = start(t, 'forward', ['--udp-listen-addr', '127.0.0.1:0', ...to]);
  const port = await forward.port();
  forward.child.stdout!.destroy();
  await udpSend(port, ['one\n']);
  await forward.says('stdout: closed by its reader');
  await udpSend(port, ['two\n']);
  t.equal(String(await sink.has(8)), 'one\ntwo\n');
  t.equal(await forward.stop(), 0);
});

t.test('a program whose only sink was stdout ends with 0 when its reader is gone', async (t) => {
  const group = `239.77.0.5:${await freeUdpPort()}`;
  const programs = {
    server: start(t, 'server', ['--path', '-', '--listen-addr', '127.0.0.1:0']),
    twice: start(t, 'server', ['--path', '-', '--tee', '--listen-addr', '127.0.0.1:0']),
    forward: start(t, 'forward', ['--tee', '--udp-listen-addr', '127.0.0.1:0']),
    reverse: start(t, 'reverse', ['--tee', '--multicast-addr', `${group},interface=lo`]),
  };
  for (const [what, program] of Object.entries(programs)) {
    const port = await program.port();
    program.child.stdout!.destroy();
    if (what === 'reverse') {
      const client = start(t, 'client', ['--path', '-', '--server-addr', `${group},interface=lo`]);
      client.child.stdin!.end('x\n');
    } else await udpSend(port, ['x\n']);
    t.equal(await program.exited, 0, what);
  }
});

t.test('a client with only --tee ends with 0 when its reader is gone', async (t) => {
  const client = start(t, 'client', ['--path', '/dev/zero', '--tee', '--frame', 'raw']);
  await until('it writes', () => client.stdout.length > 0);
  client.child.stdout!.destroy();
  t.equal(await client.exited, 0);
});

t.test('a shell pipe into head', async (t) => {
  const node = `"${process.execPath}"`;
  const script = `yes line | ${node} "${launcher('client')}" --path - --tee | head -n 1; echo "$?"`;
  const pipe = startProgram(t, 'bash', [
    '-o',
    'pipefail',
    '-c',
    `${script.replace('yes line', 'yes line 2>&-')}`,
  ]);
  await pipe.exited;
  t.match(String(pipe.stdout), /^line\n/);
  t.notMatch(pipe.stderr, /\n {4}at /);
});
