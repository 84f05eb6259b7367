import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ask } from '../status/http.js';
import { type Name, type Running, startProgram } from '../support/command.js';
import { shortFolder } from '../support/short-folder.js';
import { until } from '../support/wait.js';
import { CONSUMER, consumerConfig, SERVICE } from './consumer.js';
import { emptyFolder, ROOT, runIn } from './folder.js';
import { tryGateway } from './gateway-trial.js';

const PROGRAMS: Name[] = ['client', 'server', 'forward', 'reverse', 'gateway'];
/** What its tarball has besides. */
const GATEWAY = ['schema.json', 'bundle/cli.js', 'bundle/worker.js', 'bundle/package.json'].map(
  (file) => `package/${file}`,
);
const PACKAGES = readdirSync(join(ROOT, 'packages'));
const { version } = readJson(ROOT, 'package.json') as { version: string };

const packed = emptyFolder(t);
const installed = emptyFolder(t);
const tool = (name: string) => join(ROOT, 'node_modules/.bin', name);
const tarball = (name: string) => join(packed, `mproxy-${name}-${version}.tgz`);

t.before(async () => {
  await runIn(ROOT, 'npm', 'pack', '--workspaces', '--pack-destination', packed);
  const { devDependencies } = readJson(ROOT, 'package.json') as { devDependencies: Record<string, string> };
  const types = `@types/node@${devDependencies['@types/node']}`;
  writeFileSync(join(installed, 'package.json'), '{"private":true}');
  await runIn(installed, 'npm', 'install', '--no-audit', '--no-fund', ...PACKAGES.map(tarball), types);
});

for (const name of PACKAGES) {
  t.test(`the tarball of mproxy-${name} has what it needs and no more`, async (t) => {
    const files = (await runIn(packed, 'tar', '-tzf', tarball(name))).trim().split('\n');
    const sources = readdirSync(join(ROOT, 'packages', name, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => `package/dist/${file.slice(0, -'.ts'.length)}`);
    const wanted = [
      ...['LICENSE', 'README.md', 'package.json'].map((file) => `package/${file}`),
      ...(name === 'status' ? ['package/page.html'] : []),
      ...(name === 'gateway' ? GATEWAY : []),
      ...(isProgram(name) ? manualOf(name) : []).map((file) => `package/${file}`),
      ...sources.flatMap((path) => [`${path}.js`, `${path}.d.ts`]),
    ];
    t.strictSame(files.toSorted(), wanted.toSorted());
    const inside = join(installed, 'node_modules', `mproxy-${name}`);
    t.notMatch(readFileSync(join(inside, 'dist/index.js'), 'utf8'), 'sourceMappingURL');
    t.match(readFileSync(join(inside, 'LICENSE'), 'utf8'), 'MIT License');
    t.match(readFileSync(join(inside, 'README.md'), 'utf8'), `# mproxy-${name}\n`);
  });

  t.test(`publint finds nothing in mproxy-${name}`, async (t) => {
    t.match(await runIn(ROOT, tool('publint'), '--strict', tarball(name)), 'All good!');
  });
}

for (const name of PROGRAMS) {
  t.test(`the types of mproxy-${name} are right: attw finds nothing`, async (t) => {
    // ES modules alone: Node 20.19 and newer take them by require() too.
    await t.resolves(runIn(ROOT, tool('attw'), '--profile', 'esm-only', tarball(name)));
  });

  t.test(`mproxy-${name} runs`, async (t) => {
    const command = join(installed, `node_modules/.bin/mproxy-${name}`);
    t.match(await runIn(installed, command, '--help'), `Usage: mproxy-${name} [options]`);
    t.equal(await runIn(installed, command, '--version'), `${version}\n`);
  });
}

t.test('mproxy-gateway has all of its parts, those that are loaded later too', async (t) => {
  const command = join(installed, 'node_modules/.bin/mproxy-gateway');
  const start = (args: string[]) => startProgram(t, command, args);
  await tryGateway(t, { folder: shortFolder(t), path: (inside) => inside, start });
});

t.test('a service of a module shares mproxy-service with the worker that loads it', async (t) => {
  const module = join(installed, 'service.mjs');
  writeFileSync(module, SERVICE);
  const command = join(installed, 'node_modules/.bin/mproxy-gateway');
  const args = ['--config', module, '--listen-addr', '127.0.0.1:0', '--workers', '1'];
  const run = startProgram(t, command, args);
  const { status, body } = await ask(`http://127.0.0.1:${await run.port()}/`);
  t.match({ status, body }, { status: 200, body: 'one\n' });
  t.equal(await run.stop(), 0, run.stderr);
});

t.test('npx finds a command', async (t) => {
  const help = await runIn(installed, 'npx', '--no-install', 'mproxy-client', '--help');
  t.match(help, 'Usage: mproxy-client [options]');
});

t.test('npm install -g puts the commands and their man pages where they are found', async (t) => {
  const prefix = emptyFolder(t);
  await runIn(prefix, 'npm', 'install', '-g', '--prefix', prefix, ...PACKAGES.map(tarball));
  for (const name of PROGRAMS) {
    t.equal(await runIn(prefix, `bin/mproxy-${name}`, '--version'), `${version}\n`);
    t.match(
      readFileSync(join(prefix, `share/man/man1/mproxy-${name}.1`), 'utf8'),
      `.TH MPROXY-${name.toUpperCase()} 1`,
    );
  }
});

t.test('a file goes from client by forward to server, identical', async (t) => {
  const file = join(installed, 'sent');
  const bytes = randomBytes(4 * 1024 * 1024);
  writeFileSync(file, bytes);
  const run = (name: Name, ...args: string[]) =>
    startProgram(t, join(installed, `node_modules/.bin/mproxy-${name}`), args, { cwd: installed });
  const server = run('server', '--listen-addr', '127.0.0.1:0', '--path', 'got', '--stats', '1h');
  const downstream = `127.0.0.1:${await server.port()}`;
  const listen = ['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', downstream];
  const forward = run('forward', ...listen, '--stats', '1h');
  const to = `127.0.0.1:${await forward.port()}`;
  const client = run('client', '--path', file, '--server-addr', to, '--rate', '400Mbps', '--stats', '1h');
  t.equal(await client.exited, 0, client.stderr);
  const got = join(installed, 'got');
  await until('the whole file came', () => existsSync(got) && statSync(got).size >= bytes.length);
  if (process.platform === 'linux') for (const one of [server, forward]) t.ok(hasFfi(one), 'linux engine');
  for (const one of [server, forward]) t.equal(await one.stop(), 0, one.stderr);
  t.ok(readFileSync(got).equals(bytes), 'byte for byte');
  for (const one of [server, forward, client]) t.notMatch(one.stderr, 'engine: node');
});

for (const resolution of ['nodenext', 'bundler'] as const) {
  t.test(`a program in TypeScript compiles and runs, moduleResolution ${resolution}`, async (t) => {
    mkdirSync(join(installed, resolution));
    writeFileSync(join(installed, 'consumer.mts'), CONSUMER);
    const config = `tsconfig.${resolution}.json`;
    writeFileSync(join(installed, config), consumerConfig(resolution));
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    await runIn(installed, process.execPath, tsc, '-p', config);
    const out = await runIn(join(installed, resolution), process.execPath, 'consumer.mjs');
    t.strictSame(JSON.parse(out), {
      text: 'by the library\n',
      codes: ['MPROXY_USAGE', 'MPROXY_GROUP'],
      answered: '/HELLO\n',
      wrong: 2,
    });
  });
}

/** Whether the process has the foreign function interface loaded, which only the linux engine uses. */
function hasFfi({ child }: Running): boolean {
  return readFileSync(`/proc/${child.pid}/maps`, 'latin1').includes('koffi');
}

function isProgram(name: string): name is Name {
  return (PROGRAMS as string[]).includes(name);
}

function manualOf(name: Name): string[] {
  const completions = [`mproxy-${name}.bash`, `_mproxy-${name}`, `mproxy-${name}.fish`];
  const units = readdirSync(join(ROOT, 'packaging/systemd')).filter((file) =>
    file.startsWith(`mproxy-${name}@`),
  );
  return [
    `man/mproxy-${name}.1`,
    ...completions.map((file) => `completions/${file}`),
    ...units.map((file) => `systemd/${file}`),
  ];
}

function readJson(...path: string[]): unknown {
  return JSON.parse(readFileSync(join(...path), 'utf8'));
}
