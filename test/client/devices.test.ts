import { execFileSync } from 'node:child_process';
import { readdirSync, readlinkSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { command, start, startProgram } from '../support/command.js';
import { udpSink } from '../support/net.js';
import { noPty, Pty } from '../support/pty.js';
import { until } from '../support/wait.js';

/** Every byte, and what a terminal in its usual mode would change, echo or take for a key. */
const EVERY = Buffer.concat([
  Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
  Buffer.from('$GPGGA*47\r\n\r\r\n\n'),
  Buffer.from([3, 4, 17, 19, 21, 26, 28, 127, 22, 0, 255, 255, 0]),
]);

const stty = (path: string, ...args: string[]) =>
  execFileSync('stty', ['-F', path, ...args], { encoding: 'utf8' }).trim();

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // Closed meanwhile.
    return '';
  }
}

/** c_ispeed of struct termios2 (TCGETS2, ioctl_tty(2)), which stty does not read. */
function speed(path: string): number {
  const code = `import fcntl,sys;print(int.from_bytes(fcntl.ioctl(open(sys.argv[1]),0x802c542a,bytes(44))[36:40],'little'))`;
  return Number(execFileSync('python3', ['-c', code, path], { encoding: 'utf8' }));
}

async function startReading(t: Test, engine: string, path: string, ...args: string[]) {
  const sink = await udpSink(t);
  const to = ['--server-addr', `127.0.0.1:${sink.port}`, '--engine', engine, '--stats', '10'];
  const client = start(t, 'client', ['--path', path, ...to, ...args]);
  await client.says(`engine: ${engine}`);
  await client.says(/stats|sending: /);
  return { client, sink };
}

for (const engine of ['linux', 'node']) {
  const skip = noPty || (engine === 'linux' && process.platform !== 'linux' && 'that engine is for Linux');

  t.test(
    `${engine}: a device is read byte for byte, without echo, and gets its mode back`,
    { skip },
    async (t) => {
      const device = await Pty.open(t);
      const mode = stty(device.path, '-g');
      const { client, sink } = await startReading(t, engine, device.path, '--frame', 'raw');
      t.match(stty(device.path, '-a'), /-icanon.* -echo /s);
      device.type(EVERY);
      t.ok((await sink.has(EVERY.length)).equals(EVERY));
      t.equal(await client.stop(), 0);
      t.equal(device.output.length, 0, 'nothing went back to the device');
      t.equal(stty(device.path, '-g'), mode);
    },
  );

  t.test(`${engine}: --baud sets the speed, for as long as it is read`, { skip }, async (t) => {
    const device = await Pty.open(t);
    const before = stty(device.path, 'speed');
    const { client, sink } = await startReading(t, engine, device.path, '--baud', '4800');
    t.equal(stty(device.path, 'speed'), '4800');
    device.type('!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C\r\n');
    await sink.has(49);
    t.equal(String(sink.bytes), '!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C\r\n', 'one line end');
    t.equal(await client.stop(), 0);
    t.equal(stty(device.path, 'speed'), before);
  });

  t.test(
    `${engine}: a device that disappears ends the client with 1, and what it sent before arrives`,
    { skip },
    async (t) => {
      const device = await Pty.open(t, 'alone');
      const { client, sink } = await startReading(t, engine, device.path);
      device.type('whole\nunfinished');
      await sink.has(6);
      await device.unplug();
      t.equal(await client.exited, 1);
      t.match(client.stderr, `mproxy-client: reading: ${device.path}: the device disappeared\n`);
      t.equal(String(await sink.has(16)), 'whole\nunfinished');
    },
  );

  t.test(`${engine}: --follow opens a device again that was unplugged`, { skip }, async (t) => {
    const path = join(t.testdir(), 'device');
    let device = await Pty.open(t, 'alone');
    symlinkSync(device.path, path);
    const { client, sink } = await startReading(t, engine, path, '--follow', '--baud', '9600');
    let expected = '';
    for (const round of ['one', 'two', 'three']) {
      await until('it is open, raw', () => stty(path, '-a').includes('-icanon'));
      t.equal(stty(path, 'speed'), '9600');
      device.type(`${round}\r\n`);
      expected += `${round}\r\n`;
      t.equal(String(await sink.has(expected.length)), expected);
      // Gone first, as a device is that comes back under the same name.
      unlinkSync(path);
      await device.unplug();
      const gone = () => client.stderr.split('disappeared; waiting for it').length - 1;
      const times = expected.split('\n').length - 1;
      await until('it is told', () => gone() === times);
      const open = readdirSync(`/proc/${client.child.pid}/fd`).map((fd) =>
        link(`/proc/${client.child.pid}/fd/${fd}`),
      );
      t.same(
        open.filter((target) => target.startsWith('/dev/pts')),
        [],
        'it is not held open',
      );
      const next = await Pty.open(t, 'alone');
      symlinkSync(next.path, path);
      device = next;
    }
    t.equal(await client.stop(), 0);
    t.match(client.stderr, `following: ${path}: the device disappeared; waiting for it`);
  });
}

t.test(
  'linux: a speed that has no name in termios(3)',
  { skip: noPty || (process.platform !== 'linux' && 'termios2 is Linux') },
  async (t) => {
    const device = await Pty.open(t);
    const { client } = await startReading(t, 'linux', device.path, '--baud', '31250');
    t.equal(speed(device.path), 31_250);
    t.equal(await client.stop(), 0);
  },
);

t.test('--baud where there is no speed to set', async (t) => {
  const dir = t.testdir();
  const file = join(dir, 'file');
  const fifo = join(dir, 'fifo');
  writeFileSync(file, 'x\n');
  execFileSync('mkfifo', [fifo]);
  for (const [path, args, error] of [
    ['-', [], '--baud: -: stdin keeps its mode; give its path'],
    [file, [], `--baud: ${file}: not a serial device or terminal: it has no speed`],
    [file, ['--follow'], `--baud: ${file}: not a serial device or terminal: it has no speed`],
    [fifo, [], `--baud: ${fifo}: not a serial device or terminal: it has no speed`],
  ] as const) {
    const client = start(t, 'client', ['--path', path, '--baud', '4800', '--tee', ...args]);
    t.equal(await client.exited, 2);
    t.match(client.stderr, `mproxy-client: ${error}`);
    t.equal(client.stdout.length, 0);
  }
  for (const baud of ['0', '4800bps', '-1', '4e3']) {
    const client = start(t, 'client', ['--path', file, `--baud=${baud}`, '--tee']);
    t.equal(await client.exited, 2);
    t.match(client.stderr, `--baud: ${baud}: not a whole number from 1 to 100000000`);
  }
});

t.test('node: without stty the error says so', { skip: noPty }, async (t) => {
  const device = await Pty.open(t);
  const args = ['--path', device.path, '--tee', '--engine', 'node'];
  const client = startProgram(t, 'sh', ['-c', 'PATH=/none; exec "$@"', 'sh', ...command('client', args)]);
  t.equal(await client.exited, 1);
  t.match(
    client.stderr,
    `opening: ${device.path}: stty, which sets its mode, cannot be run (spawnSync stty ENOENT)`,
  );
});

for (const engine of ['linux', 'node'])
  t.test(
    `${engine}: a device gets its mode back where a sink cannot be opened`,
    { skip: noPty },
    async (t) => {
      const device = await Pty.open(t);
      const mode = stty(device.path, '-g');
      const to = ['--server-addr', '127.0.0.1:9,bind=192.0.2.1', '--engine', engine];
      const client = start(t, 'client', ['--path', device.path, ...to]);
      t.equal(await client.exited, 1);
      t.equal(stty(device.path, '-g'), mode);
    },
  );

t.test('--follow does not keep busy with a device that is at its end', async (t) => {
  const client = start(t, 'client', ['--path', '/dev/null', '--follow', '--tee', '--stats', '0.5']);
  await client.says(/stats: [^\n]*reconnects/);
  t.equal(await client.stop(), 0);
  const reconnects = Number(/([\d,]+) reconnects/.exec(client.stderr)![1]!.replaceAll(',', ''));
  t.ok(reconnects <= 20, `${reconnects} times in half a second`);
});
