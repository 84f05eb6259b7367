import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { missing } from '../lan/tools.js';
import { launcher, type Running, startProgram } from '../support/command.js';
import { Host, lan, noNamespaces } from '../support/namespace.js';
import { shortFolder } from '../support/short-folder.js';
import { until } from '../support/wait.js';
import { type Curled, curl, noCurl } from './curl.js';
import { blocks, commandLines, part } from './page.js';
import { writePageFiles } from './page-files.js';

/** The examples of docs/gateway.md, literally; each in a namespace for its fixed ports. */
const skip = noNamespaces || noCurl;
const ORIGIN = fileURLToPath(new URL('echo-origin.js', import.meta.url));

/** A host on which the commands of the page are run, in a folder. */
class Machine {
  readonly cwd: string;
  #env = { ...process.env, PATH: `${dirname(launcher('gateway'))}${delimiter}${process.env.PATH}` };

  constructor(
    private readonly t: Test,
    readonly host = new Host(t),
  ) {
    this.cwd = shortFolder(t);
  }

  /** Runs a command line of the page. @param before what runs it */
  run(line: string, before = ''): Running {
    const options = { namespace: this.host.name, cwd: this.cwd, env: this.#env };
    return startProgram(this.t, 'sh', ['-c', `exec ${before} ${line}`], options);
  }

  /** Starts the gateway. */
  async gateway(line: string, before = ''): Promise<Running> {
    const gateway = this.run(line, before);
    await gateway.says(/^mproxy-gateway: listening: .*$/m);
    return gateway;
  }

  /** Starts it with a document of the page. */
  configured(type: string, text: string, more = ''): Promise<Running> {
    writeFileSync(join(this.cwd, `g.${type}`), text);
    return this.gateway(`mproxy-gateway --config g.${type} ${more}`);
  }

  /** Starts servers that answer with what they received. @param at HOST:PORT, or a path */
  async origins(...at: string[]): Promise<void> {
    const options = { namespace: this.host.name, cwd: this.cwd };
    const origin = startProgram(this.t, process.execPath, [ORIGIN, ...at], options);
    for (const one of at) await origin.says(`origin at ${one}\n`);
  }

  curl(...args: string[]): Promise<Curled> {
    return curl(this.t, args, '', { namespace: this.host.name, cwd: this.cwd });
  }

  /** What an origin received. */
  async received(...args: string[]): Promise<{ at: string; url: string; headers: Record<string, string> }> {
    const { stdout, first } = await this.curl(...args);
    if (first.status !== 200) throw new Error(`${args}: ${first.status} ${first.error} ${stdout}`);
    return JSON.parse(`${stdout}`);
  }
}

t.test('in front of an app', { skip: skip || missing('python3') }, async (t) => {
  const machine = new Machine(t);
  const text = part('## In front of an app');
  const lines = commandLines(text);
  t.equal(lines.length, 5);
  writeFileSync(join(machine.cwd, 'index.html'), 'the app');
  machine.run(lines[0]!);
  const app = () => machine.curl('http://127.0.0.1:3000/');
  await until('the app listens', async () => (await app()).first.status === 200);
  const gateway = await machine.gateway(lines[1]!);
  const asking = machine.run(lines[2]!);
  t.equal(await asking.exited, 0, asking.stderr);
  t.match(`${asking.stdout}`, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nthe app$/);
  await until('a record', () => gateway.stdout.includes('\n'));
  t.match(JSON.parse(`${gateway.stdout}`), { path: '/', status: 200 });
  t.equal(await gateway.stop(), 0);

  writeFileSync(join(machine.cwd, 'gateway.json'), blocks('json', text)[0]!);
  for (const one of ['10.0.0.1', '10.0.0.2']) machine.host.ip('addr', 'add', `${one}/32`, 'dev', 'lo');
  await machine.origins('10.0.0.1:8080', '10.0.0.2:8080');
  const check = machine.run(lines[3]!);
  t.equal(await check.exited, 0, check.stderr);
  await machine.gateway(lines[4]!);
  const at = 'http://127.0.0.1:8000';
  // By one connection, which one worker has: each has turns of its own.
  const { stdout } = await machine.curl(`${at}/api/[1-4]`);
  t.strictSame(
    `${stdout}`.match(/10\.0\.0\.[12]/g),
    [1, 2, 1, 2].map((n) => `10.0.0.${n}`),
  );
  const moved = await machine.curl('-H', 'Host: old.example.com', `${at}/x`);
  t.match(moved.first, { status: 302, headers: { location: ['https://example.com/'] } });
  t.equal(`${(await machine.curl(`${at}/`)).stdout}`, 'the app');
});

t.test('a TLS site in five minutes', { skip: skip || missing('openssl') }, async (t) => {
  const machine = new Machine(t);
  const text = part('## A TLS site in five minutes');
  const [certificate, first, ask, second, ...more] = commandLines(text);
  t.strictSame(more, []);
  t.equal(await machine.run(certificate!).exited, 0);
  await machine.origins('127.0.0.1:3000');
  const gateway = await machine.gateway(first!);
  const asking = machine.run(ask!);
  t.equal(await asking.exited, 0, asking.stderr);
  t.match(`${asking.stdout}`, /^HTTP\/1\.1 200 OK\r\n/);
  t.equal(await gateway.stop(), 0);

  writeFileSync(join(machine.cwd, 'site.json'), blocks('json', text)[0]!);
  const site = await machine.gateway(second!);
  await site.says(/status: .*\n/);
  const moved = await machine.curl('http://localhost/x?y');
  t.match(moved.first, { status: 308, headers: { location: ['https://localhost/x?y'] } });
  const secure = await machine.curl('--cacert', 'site.pem', 'https://localhost/');
  t.match(secure.first, {
    status: 200,
    headers: { 'strict-transport-security': ['max-age=31536000'] },
  });
  const stats = await machine.curl('http://127.0.0.1:9000/stats');
  t.match(`${stats.stdout}`, 'site.pem', 'the page has the certificate');
  t.match(`${(await machine.curl('http://127.0.0.1:9000/metrics')).stdout}`, 'site.pem');
  t.equal(await machine.run(certificate!).exited, 0, 'renewed');
  site.child.kill('SIGHUP');
  await until('the new one is used', async () => {
    const { first } = await machine.curl('--cacert', 'site.pem', 'https://localhost/');
    return first.status === 200;
  });
});

t.test('several sites', { skip }, async (t) => {
  const machine = new Machine(t);
  const { staff } = await writePageFiles(t, machine.cwd);
  await machine.origins('127.0.0.1:3000', '127.0.0.1:3001');
  await machine.configured('json', blocks('json', part('**Several sites** with'))[0]!);
  const at = (host: string) => [
    ...['--cacert', 'internal-ca.pem', '--resolve', `${host}:443:127.0.0.1`, `https://${host}/`],
  ];
  t.equal((await machine.received(...at('example.com'))).at, '127.0.0.1:3000');
  const employee = await staff.sign({ dns: ['employee.test'] });
  const own = ['--cert', employee.certFile, '--key', employee.keyFile];
  const got = await machine.received(...own, ...at('staff.example.com'));
  t.match(got, { at: '127.0.0.1:3001', headers: { 'x-client-subject': 'CN=employee.test' } });
  t.equal((await machine.curl(...at('staff.example.com'))).first.status, 0, 'not without a certificate');
  const other = await machine.curl('-H', 'Host: staff.example.com', ...at('example.com'));
  t.equal(other.first.status, 421);
});

t.test('an upstream elsewhere', { skip }, async (t) => {
  const machine = new Machine(t);
  const { internal } = await writePageFiles(t, machine.cwd);
  machine.host.ip('addr', 'add', '10.0.0.7/32', 'dev', 'lo');
  await machine.origins('127.0.0.1:3000');
  // A second gateway is the server elsewhere.
  const sections = [
    ...[
      '--listen-addr',
      'tls://10.0.0.7:8443',
      '--tls-cert',
      internal.certFile,
      '--tls-key',
      internal.keyFile,
    ],
    ...['--tls-client-ca', 'internal-ca.pem', '--route', '/=http://127.0.0.1:3000'],
  ];
  await machine.gateway(['mproxy-gateway', ...sections].join(' '));
  await machine.configured('json', blocks('json', part('**An upstream elsewhere**'))[0]!);
  t.match(await machine.received('http://127.0.0.1:8000/internal'), { url: '/internal' });
});

t.test('WebSocket and events', { skip }, async (t) => {
  const machine = new Machine(t);
  const origin = fileURLToPath(new URL('event-origin.js', import.meta.url));
  const options = { namespace: machine.host.name, cwd: machine.cwd };
  await startProgram(t, process.execPath, [origin, '3000'], options).says('listening');
  await machine.configured('json', blocks('json', part('**WebSocket and events**'))[0]!);
  const events = await machine.curl('--max-time', '10', 'http://127.0.0.1:8000/events');
  t.equal(`${events.stdout}`, 'data: 1\n\ndata: 2\n\n');
  const fields = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
  const switched = await machine.curl(
    ...['-i', '--max-time', '10', ...fields.flatMap((one) => ['-H', one])],
    ...['-H', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'http://127.0.0.1:8000/'],
  );
  t.match(`${switched.stdout}`, /^HTTP\/1\.1 101 [\s\S]*\r\n\r\nwelcome$/);
});

t.test('several apps', { skip }, async (t) => {
  const machine = new Machine(t);
  await machine.origins('127.0.0.1:3000', '127.0.0.1:3001');
  await machine.configured('json', blocks('json', part('**Several apps.**'))[0]!);
  const site = ['-H', 'Host: example.com'];
  t.equal((await machine.received(...site, 'http://127.0.0.1/api2')).at, '127.0.0.1:3000');
  t.equal((await machine.received(...site, 'http://[::1]/api/x')).at, '127.0.0.1:3001');
  const denied = await machine.curl(...site, '-X', 'DELETE', 'http://127.0.0.1/api');
  t.match(denied.first, { status: 405, headers: { allow: [/POST/] } });
  const moved = await machine.curl('-H', 'Host: www.example.com', 'http://127.0.0.1/');
  t.match(moved.first, { status: 302, headers: { location: ['https://example.com/'] } });
  const unknown = await machine.curl('http://127.0.0.1/');
  t.equal(unknown.first.status, 404);
  t.equal(`${unknown.stdout}`, 'no such site\n');
});

t.test('files beside an app', { skip }, async (t) => {
  const machine = new Machine(t);
  const socket = join(machine.cwd, 'app.sock');
  await machine.origins(socket);
  const made = machine.run('mkdir -p dist/assets');
  await made.exited;
  writeFileSync(join(machine.cwd, 'dist/assets/site.css'), 'body {}');
  const [text] = blocks('toml', part('**Files beside an app**'));
  await machine.configured('toml', text!.replace('/run/app.sock', socket));
  const css = await machine.curl('http://127.0.0.1:8000/assets/site.css');
  t.equal(`${css.stdout}`, 'body {}');
  t.match(css.first.headers, { 'content-type': [/^text\/css/], 'referrer-policy': ['same-origin'] });
  t.equal((await machine.received('http://127.0.0.1:8000/page')).url, '/page');
  t.equal((await machine.curl('http://127.0.0.1:8000/assets/none')).first.status, 404);
});

t.test('paths for the upstream', { skip }, async (t) => {
  const machine = new Machine(t);
  await machine.origins('127.0.0.1:3000');
  await machine.configured('json', blocks('json', part('**Paths for the upstream.**'))[0]!);
  const users = await machine.received('http://127.0.0.1:8000/api/users?a=b');
  t.match(users, { url: '/users?a=b', headers: { 'x-forwarded-prefix': '/api' } });
  t.equal((await machine.received('http://127.0.0.1:8000/old/x')).url, '/v2/x');
});

t.test('behind a load balancer', { skip }, async (t) => {
  const machine = new Machine(t);
  machine.host.ip('addr', 'add', '10.0.0.1/32', 'dev', 'lo');
  await machine.origins('127.0.0.1:3000');
  const text = blocks('json', part('**Behind a load balancer**'))[0]!;
  const gateway = await machine.configured('json', text, '--status-addr 127.0.0.1:9000');
  await gateway.says(/status: .*\n/);
  const [plain, proxied] = ['http://127.0.0.1:8000/', 'http://127.0.0.1:8001/'];
  const says = ['-H', 'X-Forwarded-For: 203.0.113.9'];
  const real = async (...args: string[]) => (await machine.received(...args)).headers['x-real-ip'];
  t.equal(await real('--interface', '10.0.0.1', ...says, plain), '203.0.113.9');
  t.equal(await real(...says, plain), '127.0.0.1');
  t.equal(await real('--interface', '10.0.0.1', '--haproxy-protocol', ...says, proxied), '203.0.113.9');
  t.equal((await machine.curl('--haproxy-protocol', proxied)).first.status, 0);

  const health = async () => (await machine.curl('http://127.0.0.1:9000/healthz')).first.status;
  t.equal(await health(), 200);
  gateway.child.kill('SIGTERM');
  await until('it is not healthy', async () => (await health()) === 503);
  t.equal((await machine.curl(plain)).first.status, 200, 'and serves');
  gateway.child.kill('SIGTERM');
  await gateway.exited;
});

t.test('a socket of systemd', { skip: skip || missing('systemd-socket-activate') }, async (t) => {
  const machine = new Machine(t);
  await machine.origins('127.0.0.1:3000');
  const text = part('**A socket of systemd**');
  const [line] = commandLines(text);
  const activate = /`(systemd-socket-activate .*?) node bin/.exec(text)![1]!;
  const running = machine.run(line!, `${activate} env`);
  await running.says('Listening on ');
  t.match(await machine.received('http://127.0.0.1:8000/x'), { url: '/x', at: '127.0.0.1:3000' });
  t.match(running.stderr, 'mproxy-gateway: listening: http ');
});

t.test('a service of your own', { skip }, async (t) => {
  const machine = new Machine(t);
  await machine.origins('127.0.0.1:3000');
  const text = part('### A service of your own');
  const modules = fileURLToPath(new URL('../../../node_modules', import.meta.url));
  symlinkSync(modules, join(machine.cwd, 'node_modules'));
  writeFileSync(join(machine.cwd, 'app.mjs'), blocks('js', text)[0]!);
  await machine.gateway(commandLines(text)[0]!);
  const at = 'http://127.0.0.1:8000/x';
  t.match(await machine.received(at), { at: '127.0.0.1:3000', url: '/x' });
  const closed = await machine.curl('-H', 'X-Maintenance: yes', at);
  t.equal(closed.first.status, 503);
  t.equal(`${closed.stdout}`, 'back soon\n');
});

t.test('development', { skip }, async (t) => {
  const machine = new Machine(t);
  const serve = `"${process.execPath}" "${ORIGIN}" "127.0.0.1:$PORT"`;
  writeFileSync(join(machine.cwd, 'package.json'), JSON.stringify({ scripts: { dev: serve, api: serve } }));
  const gateway = await machine.gateway(commandLines(part('**Development.**'))[0]!);
  for (const port of [3000, 4000]) {
    await gateway.says(`origin at 127.0.0.1:${port}`);
    const got = await machine.received(`http://${port}.localhost:24306/x`);
    t.match(got, { at: `127.0.0.1:${port}`, url: '/x', headers: { host: `localhost:${port}` } });
  }
  t.equal(await gateway.stop(), 0);
  const after = await machine.curl('http://127.0.0.1:3000/');
  t.equal(after.first.status, 0, 'its servers ended with it');
});

t.test('an access log for many readers', { skip }, async (t) => {
  const { hosts } = lan(t, 2);
  const [web, collector] = hosts.map((host) => new Machine(t, host));
  for (const { host } of [web!, collector!]) host.ip('route', 'add', '239.0.0.0/8', 'dev', 'eth0');
  await web!.origins('127.0.0.1:3000');
  const [group, collect, rotated] = commandLines(part('**An access log for many readers**'));
  const server = collector!.run(collect!);
  await server.says('listening:');
  const first = await web!.gateway(group!);
  await web!.received('http://127.0.0.1:8000/to-the-group');
  const file = join(collector!.cwd, 'web.log');
  await until('a record in the file', () => readFileSync(file, 'utf8').endsWith('\n'));
  t.match(JSON.parse(readFileSync(file, 'utf8')), { path: '/to-the-group', status: 200 });
  t.equal(await first.stop(), 0);

  await web!.gateway(rotated!);
  await web!.received('http://127.0.0.1:8000/to-the-file');
  const own = join(web!.cwd, 'web.log');
  await until('a record in the file', () => existsSync(own) && readFileSync(own, 'utf8').endsWith('\n'));
  t.match(JSON.parse(readFileSync(own, 'utf8')), { path: '/to-the-file', status: 200 });
});
