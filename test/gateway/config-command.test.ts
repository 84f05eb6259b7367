import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { launcher, start, startProgram } from '../support/command.js';
import { shortFolder } from '../support/short-folder.js';

t.test('--check prints the effective configuration', async (t) => {
  const folder = shortFolder(t);
  writeFileSync(join(folder, 'g.toml'), 'port = 8000\n[[routes]]\npath = "/"\nupstream = "unix:app.sock"\n');
  const gateway = start(t, 'gateway', ['--config', 'g.toml', '--check', '--trust', '::1'], { cwd: folder });
  t.equal(await gateway.exited, 0);
  t.equal(gateway.stderr, '');
  const shown = JSON.parse(String(gateway.stdout));
  t.match(shown, { listen: ['0.0.0.0:8000'], trusted_proxies: ['::1'], timeouts: { idle: '75s' } });
  t.strictSame(shown.routes[0].upstreams, [`unix:${folder}/app.sock`]);
  writeFileSync(join(folder, 'shown.json'), gateway.stdout);
  const again = start(t, 'gateway', ['--check', '--config', 'shown.json'], { cwd: folder });
  t.equal(await again.exited, 0);
  t.equal(String(again.stdout), String(gateway.stdout), 'which is a configuration itself');
});

t.test('--check prints every error on a line of its own', async (t) => {
  const folder = t.testdir({
    'g.json': '{ "port": 0, "prot": 1, "routes": [{ "path": "/", "upstream": "x" }, 5] }',
  });
  const lines = [
    'g.json: prot: there is no such key; did you mean port?',
    'g.json: routes[0].upstream: "x": expected http://HOST[:PORT], https://HOST[:PORT] or unix:PATH',
    'g.json: routes[1]: 5: expected an object',
  ];
  for (const check of [['--check'], []]) {
    const gateway = start(t, 'gateway', ['--config', 'g.json', ...check], { cwd: folder });
    t.equal(await gateway.exited, 2);
    t.equal(String(gateway.stdout), '');
    t.equal(gateway.stderr, lines.map((line) => `mproxy-gateway: ${line}\n`).join(''));
  }
  const json = start(t, 'gateway', ['--config', 'g.json', '--check', '--log', 'json'], { cwd: folder });
  t.equal(await json.exited, 2);
  const messages = json.stderr.trimEnd().split('\n');
  t.match(
    messages.map((line) => JSON.parse(line)),
    lines.map((text) => ({ level: 'error', text, fields: { code: 'MPROXY_USAGE' } })),
  );
});

t.test('--check works beside flags of the command line itself', async (t) => {
  const flags = ['--check', '-q', '--stats', '--log', 'json', '--status-addr', '127.0.0.1:0'];
  const gateway = start(t, 'gateway', ['--port-encoding', 'a.test', 'b.test', ...flags]);
  t.equal(await gateway.exited, 0);
  t.match(JSON.parse(String(gateway.stdout)), { port_encoding: { suffixes: ['a.test', 'b.test'] } });
});

t.test('what is no command line', async (t) => {
  const cases: [args: string[], text: string][] = [
    [
      ['--check'],
      'there is no listener; give listen, or host and port\nmproxy-gateway: there is no route; give routes',
    ],
    [['--config', 'no.json'], '--config: no.json: no such file or directory'],
    [['--rout', '/=http://a'], "unknown option '--rout' (Did you mean --route?); see mproxy-gateway --help"],
    [['--check', '--log', 'xml'], '--log: xml: no such log format; use text, json'],
    [['--tls-cert', 'a'], '--tls-key: missing or too many: 1 --tls-cert need as many --tls-key'],
    [['--log-format', 'json'], '--log-format: there is no access log; give --access-log'],
    [['--gzip'], '--gzip: there is no access log; give --access-log'],
  ];
  for (const [args, text] of cases) {
    const gateway = start(t, 'gateway', args);
    t.equal(await gateway.exited, 2, text);
    t.ok(gateway.stderr.startsWith(`mproxy-gateway: ${text}`), gateway.stderr);
  }
});

t.test('in a folder that was removed: an error says so', async (t) => {
  const line = '"$0" --listen-addr 127.0.0.1:0 --route /=http://127.0.0.1:1';
  const gateway = startProgram(t, 'sh', ['-c', `rmdir "$PWD" && exec ${line}`, launcher('gateway')], {
    cwd: t.testdir({}),
  });
  t.equal(await gateway.exited, 1);
  t.equal(
    gateway.stderr,
    'mproxy-gateway: current folder: .: no such file or directory; change to a folder that exists\n',
  );
});
