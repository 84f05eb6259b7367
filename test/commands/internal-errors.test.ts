import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Name, start } from '../support/command.js';
import { loopbackGroup } from '../support/group.js';
import { tcpClient, tcpServer, udpSend } from '../support/net.js';
import { until } from '../support/wait.js';

const stream = import.meta.resolve('mproxy-flow/stream/framed-stream');
const program = import.meta.resolve('mproxy-flow/program');

/** A mistake that is put into a command before it runs. */
const THROW = "throw new TypeError('a mistake of ours')";
const IN_STREAM = `import { FramedStream } from '${stream}'; FramedStream.prototype.push = function push() { ${THROW} };`;

/** Runs a function in a timer, once the command handles exceptions. */
function onceReady(code: string): string {
  return `const mistake = ${code};
    const timer = setInterval(() => {
      if (process.listenerCount('uncaughtException') === 0) return;
      clearInterval(timer);
      mistake();
    }, 20);`;
}

/** Starts a command that loads a module first. No core file is left. */
function startWith(t: Test, code: string, name: Name, args: string[]) {
  const module = join(t.testdir(), 'mistake.mjs');
  writeFileSync(module, code);
  return start(t, name, args, { node: ['--import', module] });
}

async function aborts(
  t: Test,
  running: ReturnType<typeof start>,
  name: Name,
  where = 'mistake',
): Promise<void> {
  await running.exited;
  t.equal(running.signal, 'SIGABRT', running.stderr);
  t.match(
    running.stderr,
    `mproxy-${name}: internal error; please report it with these lines:\nTypeError: a mistake of ours\n`,
  );
  t.match(running.stderr, new RegExp(`\\n {4}at .*${where}\\.m?js`), 'with its stack');
}

t.test('a mistake in a timer', async (t) => {
  const code = onceReady(`() => { ${THROW}; }`);
  await aborts(t, startWith(t, code, 'forward', ['--udp-listen-addr', '127.0.0.1:0', '--tee']), 'forward');
});

t.test('a promise that is rejected by a mistake', async (t) => {
  const code = onceReady(`async () => { ${THROW}; }`);
  await aborts(t, startWith(t, code, 'forward', ['--udp-listen-addr', '127.0.0.1:0', '--tee']), 'forward');
});

t.test('a mistake while an upstream is read is not the failure of the upstream', async (t) => {
  const upstream = await tcpServer(t, (socket) => socket.write('one\n'));
  const args = ['--tcp-connect-addr', `127.0.0.1:${upstream.port}`, '--tee'];
  const forward = startWith(t, IN_STREAM, 'forward', args);
  await aborts(t, forward, 'forward');
  t.notMatch(forward.stderr, 'trying again');
});

t.test('a mistake while a sender is read is not the failure of the sender', async (t) => {
  const group = await loopbackGroup();
  const args = ['--tcp-listen-addr', '127.0.0.1:0', '--multicast-addr', group.address];
  const reverse = startWith(t, IN_STREAM, 'reverse', args);
  (await tcpClient(t, await reverse.port())).socket.write('one\n');
  await aborts(t, reverse, 'reverse');
  t.notMatch(reverse.stderr, ' left ');
});

t.test('a mistake while a file is read is not the failure of the file', async (t) => {
  const client = startWith(t, IN_STREAM, 'client', ['--path', '-', '--server-addr', '127.0.0.1:9']);
  client.child.stdin!.end('one\n');
  await aborts(t, client, 'client');
});

t.test('a mistake while certificates are read again', async (t) => {
  const code = `import { Program } from '${program}';
    const { onReload } = Program.prototype;
    Program.prototype.onReload = function () { onReload.call(this, () => { ${THROW}; }); };`;
  const file = join(t.testdir(), 'out');
  const server = startWith(t, code, 'server', ['--path', file, '--listen-addr', '127.0.0.1:0']);
  await server.port();
  server.child.kill('SIGHUP');
  await aborts(t, server, 'server');
});

const skip = (process.platform !== 'linux' || process.env.ENGINE === 'node') && 'no threads';

t.test('a mistake in a receiving thread, where it comes again and again', { skip }, async (t) => {
  const module = new URL('../support/failing-threads.js', import.meta.url);
  const args = ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0'];
  const server = start(t, 'server', args, { node: ['--import', String(module)] });
  const port = await server.port();
  await until('it ended', async () => {
    await udpSend(port, ['fail by a mistake\n']);
    return server.ended;
  });
  t.equal(server.stderr.split('a receiving thread failed').length - 1, 4, 'it was replaced before');
  await aborts(t, server, 'server', 'failing-thread');
});

t.test('an error of the system is none', async (t) => {
  const server = start(t, 'server', ['--path', '/dev/full', '--listen-addr', '127.0.0.1:0']);
  await udpSend(await server.port(), ['lost\n']);
  await server.says('no space left on the device');
  t.equal(await server.stop(), 1);
  t.equal(server.signal, null);
});
