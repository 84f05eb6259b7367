import { readFileSync } from 'node:fs';
import t from 'tap';
import type { Name } from '../support/command.js';
import { fails, run } from './outcome.js';

const NAMES: Name[] = ['client', 'server', 'forward', 'reverse', 'gateway'];

/** The flags of SPEC 3 and SPEC-GATEWAY 1, by command. */
const FLAGS: Record<Name, string[]> = {
  client: ['--path', '--server-addr', '--rate', '--progress', '--follow', '--from-end', '--payload'],
  server: ['--path', '--listen-addr', '--merge'],
  forward: [
    '--udp-listen-addr',
    '--udp-downstream-addr',
    '--tcp-connect-addr',
    '--idle-timeout',
    '--greeting',
    '--once',
    '--payload',
  ],
  reverse: [
    '--udp-listen-addr',
    '--tcp-listen-addr',
    '--multicast-addr',
    '--tcp-output-addr',
    '--udp-output-addr',
    '--client-buffer',
    '--client-timeout',
    '--max-clients',
    '--allow',
    '--payload',
  ],
  gateway: [
    ...[
      '--config',
      '--check',
      '--listen-addr',
      '--route',
      '--workers',
      '--access-log',
      '--log-format',
      '--trust',
    ],
    ...['--grace', '--drain', '--port-encoding', '--allow-target', '--run'],
  ],
};
const page = (name: string) => readFileSync(new URL(`../../../docs/${name}.md`, import.meta.url), 'utf8');
const longer = (text: string, columns: number) => text.split('\n').filter(({ length }) => length > columns);
const COMMON = ['-h, --help', '-V, --version', '--stats', '--engine', '-q, --quiet'];
/** Of commands that stream. */
const STREAM = ['-t, --tee', '--frame'];

for (const name of NAMES) {
  t.test(`mproxy-${name} tells its flags on stdout, and ends with 0`, async (t) => {
    const texts: string[] = [];
    for (const args of [['--help'], ['-h'], []]) {
      const { status, stdout, stderr } = await run(t, name, args);
      t.equal(status, 0, `exit status with ${JSON.stringify(args)}`);
      t.equal(stderr, '');
      texts.push(String(stdout));
    }
    t.equal(texts[1], texts[0], '-h is --help');
    t.equal(texts[2], texts[0], 'no argument is --help');
    t.ok(texts[0]!.startsWith(`Usage: mproxy-${name} `));
    for (const flag of [...FLAGS[name], ...COMMON]) t.ok(texts[0]!.includes(flag), `tells ${flag}`);
    for (const flag of STREAM) t.equal(texts[0]!.includes(`${flag} `), name !== 'gateway', `tells ${flag}`);
    const [flags = '', examples = ''] = texts[0]!.split('\nExamples:\n');
    t.same(longer(flags, 100), [], 'lines are wrapped at 100 columns');
    t.same(longer(examples, 120), [], 'an example fits a wide terminal');
    const shown = page(name).split('<!-- help -->')[1]?.split('```')[1];
    t.equal(shown, `\n${texts[0]!.trimEnd()}\n`, 'its page shows it as it is: npm run help');
  });

  t.test(`mproxy-${name} tells its version`, async (t) => {
    const url = new URL(`../../../packages/${name}/package.json`, import.meta.url);
    const { version } = JSON.parse(readFileSync(url, 'utf8')) as { version: string };
    for (const flag of ['-V', '--version']) {
      const { status, stdout } = await run(t, name, [flag]);
      t.equal(status, 0);
      t.equal(String(stdout), `${version}\n`);
    }
  });

  t.test(`mproxy-${name} names what it does not know`, async (t) => {
    await fails(t, name, ['--bogus'], 2, '--bogus');
    await fails(t, name, ['--bogus=1'], 2, '--bogus');
    await fails(t, name, ['-x'], 2, '-x');
    await fails(t, name, ['stray'], 2, 'stray');
    await fails(t, name, ['--engine'], 2, '--engine');
  });
}

t.test('a command has only the flags that it can use', async (t) => {
  await fails(t, 'client', ['--listen-addr', '127.0.0.1:9920'], 2, '--listen-addr');
  await fails(t, 'client', ['--rcvbuf', '1MiB'], 2, '--rcvbuf');
  await fails(t, 'server', ['--rate', '5pps'], 2, '--rate');
  await fails(t, 'server', ['--ttl', '3'], 2, '--ttl');
  await fails(t, 'forward', ['--path', 'x'], 2, '--path');
  await fails(t, 'client', ['--once'], 2, '--once');
  await fails(t, 'gateway', ['--frame', 'lines'], 2, '--frame');
  await fails(t, 'gateway', ['--tee'], 2, '--tee');
});
