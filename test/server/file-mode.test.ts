import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fails } from '../commands/outcome.js';
import { type Running, start, startProgram } from '../support/command.js';
import { udpSend } from '../support/net.js';
import { until } from '../support/wait.js';

const skip = process.platform === 'win32' && 'Windows has no modes of files';
const modeOf = (path: string) => (statSync(path).mode & 0o7777).toString(8);
const listen = ['--listen-addr', '127.0.0.1:0'];

async function receives(server: Running, file: string, text: string): Promise<void> {
  await udpSend(await server.port(), [text]);
  await until('it is in the file', () => existsSync(file) && readFileSync(file, 'utf8').endsWith(text));
}

t.test('a file that mproxy-server makes has the given mode, whatever the umask', { skip }, async (t) => {
  for (const [given, mode] of [
    ['0640', '640'],
    ['666', '666'],
    ['0600', '600'],
  ] as const) {
    const file = join(t.testdir(), 'out');
    const server = start(t, 'server', ['--path', file, ...listen, '--file-mode', given]);
    await receives(server, file, 'one\n');
    t.equal(modeOf(file), mode);
    t.equal(await server.stop(), 0);
  }
});

t.test('a file that is there keeps its mode, and is appended to', { skip }, async (t) => {
  const file = join(t.testdir(), 'out');
  writeFileSync(file, 'there\n', { mode: 0o600 });
  const server = start(t, 'server', ['--path', file, ...listen, '--file-mode', '0644']);
  await receives(server, file, 'one\n');
  t.equal(await server.stop(), 0);
  t.equal(modeOf(file), '600');
  t.equal(readFileSync(file, 'utf8'), 'there\none\n');
});

t.test('a file that a link leads to is made', { skip }, async (t) => {
  const dir = t.testdir();
  const link = join(dir, 'link');
  symlinkSync(join(dir, 'out'), link);
  const server = start(t, 'server', ['--path', link, ...listen, '--file-mode', '0600']);
  await receives(server, link, 'one\n');
  t.equal(await server.stop(), 0);
  t.equal(modeOf(join(dir, 'out')), '600');
});

t.test('the new file after SIGHUP, and after a rotation, has the given mode', { skip }, async (t) => {
  const dir = t.testdir();
  const file = join(dir, 'out');
  writeFileSync(file, '', { mode: 0o644 });
  const args = ['--path', file, ...listen, '--file-mode', '0660', '--rotate-size', '64KiB'];
  const server = start(t, 'server', args);
  await receives(server, file, 'one\n');
  renameSync(file, `${file}.moved`);
  server.child.kill('SIGHUP');
  await server.says('reopened');
  t.equal(modeOf(file), '660', 'after SIGHUP');
  t.equal(modeOf(`${file}.moved`), '644');
  // The mode of the file before is not what decides.
  t.equal(await startProgram(t, 'chmod', ['600', file]).exited, 0);
  await receives(server, file, 'a'.repeat(40_000));
  await receives(server, file, 'b'.repeat(40_000));
  await server.says('rotated to');
  t.equal(modeOf(file), '660', 'after the rotation');
  t.equal(readdirSync(dir).length, 3);
  t.equal(await server.stop(), 0);
});

t.test('what is no octal mode, and a mode for stdout, are errors', async (t) => {
  for (const mode of ['0888', '1777', 'rw', '-1', ''])
    await fails(t, 'server', ['--path', 'x', ...listen, `--file-mode=${mode}`], 2, '--file-mode');
  await fails(t, 'server', ['--path', '-', ...listen, '--file-mode', '0600'], 2, '--file-mode: 0600: stdout');
});
