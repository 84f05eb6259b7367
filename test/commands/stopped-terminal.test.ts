import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { command, type Name, type Running, startProgram } from '../support/command.js';
import { loopbackGroup } from '../support/group.js';
import { tcpClient, udpSend, udpSink } from '../support/net.js';
import { noPty, onTerminal, Pty } from '../support/pty.js';
import { until } from '../support/wait.js';

/** A stop is to be over by then (SPEC 9); what else the machine does makes it slower. */
const SOON_MS = 1500;
const LINE = `${'x'.repeat(999)}\n`;

/** Starts a command with its stdout or stderr on a terminal that takes nothing more. */
async function startStopped(t: Test, fd: 1 | 2, name: Name, args: string[]): Promise<[Running, Pty]> {
  const pty = await Pty.open(t, 'plain');
  pty.stop();
  const running = startProgram(t, ...onTerminal(pty, fd, command(name, args)));
  return [running, pty];
}

async function stopsSoon(t: Test, running: Running): Promise<void> {
  const asked = performance.now();
  t.equal(await running.stop(), 0);
  const took = Math.round(performance.now() - asked);
  t.ok(took < SOON_MS, `${took} ms`);
}

t.test('a stopped terminal costs the tee alone, in whole datagrams, counted', { skip: noPty }, async (t) => {
  const path = join(t.testdir(), 'out');
  const args = ['--path', path, '--listen-addr', '127.0.0.1:0', '--tee', '--stats', '0.1'];
  const [server, pty] = await startStopped(t, 1, 'server', args);
  const port = await server.port();
  const lines = 10_000;
  for (let sent = 0; sent < lines; sent += 100) {
    await udpSend(port, Array(100).fill(LINE));
    await until('the file has it', () => statSync(path).size === (sent + 100) * LINE.length);
  }
  await server.says(/-> stdout: [^\n]* dropped datagrams/);
  await server.says('lost in all: stdout: ');
  const dropped = () => Number(/.* ([\d,]+) dropped datagrams/s.exec(server.stderr)![1]!.replaceAll(',', ''));
  t.ok(dropped() < lines - 8000, `8 MiB are kept, ${dropped()} lines are not`);
  pty.go();
  await until('the terminal shows the rest', () => pty.output.length === (lines - dropped()) * LINE.length);
  t.ok(
    String(pty.output)
      .split('\n')
      .every((line) => line.length === 999 || line === ''),
    'whole lines',
  );
  await stopsSoon(t, server);
});

t.test('one signal ends a program whose terminal is stopped', { skip: noPty }, async (t) => {
  const args = ['--path', '-', '--listen-addr', '127.0.0.1:0', '--stats', '0.1'];
  const [server] = await startStopped(t, 1, 'server', args);
  await udpSend(await server.port(), Array(100).fill(LINE));
  await server.says(/: 100 datagrams/);
  await stopsSoon(t, server);
  t.match(server.stderr, /stdout: its reader did not take the last \d+ bytes/);
});

t.test('clients of a reverse go on while its terminal is stopped', { skip: noPty }, async (t) => {
  const group = await loopbackGroup();
  const to = ['--tcp-listen-addr', '127.0.0.1:0', '--tcp-output-addr', '127.0.0.1:0'];
  const args = [...to, '--multicast-addr', group.address, '--tee', '--stats', '0.1'];
  const [reverse] = await startStopped(t, 1, 'reverse', args);
  const [output, input] = [await reverse.port(0), await reverse.port(2)];
  const client = await tcpClient(t, output);
  const sender = await tcpClient(t, input);
  await reverse.says(/1 client now/);
  const line = 'to everybody\n';
  for (let i = 1; i <= 2000; i++) {
    sender.socket.write(line);
    if (i % 100 === 0) await client.has(i * line.length);
  }
  await stopsSoon(t, reverse);
});

t.test('the client waits for a stopped terminal, and loses nothing', { skip: noPty }, async (t) => {
  const path = join(t.testdir(), 'in');
  const bytes = Buffer.from(Array.from({ length: 400_000 }, (_, i) => `${i}\n`).join(''));
  writeFileSync(path, bytes);
  const sink = await udpSink(t);
  const args = ['--path', path, '--server-addr', `127.0.0.1:${sink.port}`, '--tee', '--stats', '0.1'];
  const [client, pty] = await startStopped(t, 1, 'client', args);
  const lines = () => client.stderr.split('\n').filter((line) => line.includes(' datagrams '));
  await until('it goes on to say that nothing goes on', () => {
    const [before, last] = lines().slice(-2);
    return before !== undefined && before === last;
  });
  t.ok(client.running);
  pty.go();
  t.equal(await client.exited, 0);
  await until('the terminal shows all', () => pty.output.length >= bytes.length);
  t.ok(pty.output.equals(bytes), 'every byte');
});

t.test('messages on a stopped terminal keep nobody waiting', { skip: noPty }, async (t) => {
  const sink = await udpSink(t, '0.0.0.0');
  const to = (i: number) => ['--udp-downstream-addr', `127.0.1.${i}:${sink.port}`];
  const sinks = 100;
  const destinations = Array.from({ length: sinks }, (_, i) => to(i + 1)).flat();
  const args = ['--udp-listen-addr', '127.0.0.1:0', ...destinations, '--stats', '0.1', '--log', 'json'];
  const pty = await Pty.open(t, 'plain');
  const forward = startProgram(t, ...onTerminal(pty, 2, command('forward', args)));
  const port = () => Number(/listening: udp .*?:(\d+)"/.exec(String(pty.output))?.[1]);
  await until('it listens', () => port() > 0 && String(pty.output).includes('stats:'));
  pty.stop();
  const before = performance.now();
  for (let sent = 1; performance.now() - before < 3000; sent++) {
    await udpSend(port(), ['x']);
    await sink.has(sent * sinks);
  }
  pty.go();
  await until('what was left out is told', () =>
    /\d[\d,]* messages not shown: stderr was blocked"/.test(String(pty.output)),
  );
  pty.stop();
  await stopsSoon(t, forward);
});

t.test('an error is not held up by a stopped terminal', { skip: noPty }, async (t) => {
  const args = ['--path', join(t.testdir(), 'none'), '--server-addr', '127.0.0.1:9'];
  const [client] = await startStopped(t, 2, 'client', args);
  t.equal(await client.exited, 1);
});

t.test('a program whose terminal hung up ends as it is asked to', { skip: noPty }, async (t) => {
  const path = join(t.testdir(), 'out');
  const pty = await Pty.open(t, 'plain', 'alone');
  const args = ['--path', path, '--listen-addr', '127.0.0.1:0', '--tee'];
  const [file, rest] = onTerminal(pty, 1, command('server', args));
  const server = startProgram(t, file, rest);
  const port = await server.port();
  await pty.unplug();
  await udpSend(port, ['into the file\n']);
  await server.says('stdout: closed by its reader');
  await until('the file has it', () => statSync(path).size === 14);
  await stopsSoon(t, server);
});

t.test('messages go on when a full disk has room again', async (t) => {
  const dir = t.testdir();
  const said = join(dir, 'said');
  const args = ['--path', join(dir, 'out'), '--listen-addr', '127.0.0.1:0', '--stats', '0.1'];
  // A limit of one block for files, as it is of a full disk; the shell ignores the signal that goes with it.
  const script = 'said=$1; shift; trap "" XFSZ; exec prlimit --fsize=1024: "$@" 2>"$said"';
  const server = startProgram(t, 'sh', ['-c', script, 'sh', said, ...command('server', args)]);
  await until('it is full', () => statSync(said).size === 1024);
  // Calls of write(2), those that fail with them (proc_pid_io(5)).
  const writes = () =>
    Number(/^syscw: (\d+)/m.exec(readFileSync(`/proc/${server.child.pid}/io`, 'utf8'))![1]);
  const before = writes();
  await until('more was to be said', () => writes() >= before + 10);
  execFileSync('prlimit', ['--pid', String(server.child.pid), '--fsize=unlimited:']);
  await until('it says how much was left out', () => /messages? not shown/.test(readFileSync(said, 'utf8')));
  t.equal(await server.stop(), 0);
});
