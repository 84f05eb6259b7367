import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { until } from '../support/wait.js';
import { clientContext, type Driven, dial, identity, notLinux, serve } from './tls-channels.js';

const missing = (tool: string, argument: string) =>
  notLinux || (spawnSync(tool, [argument]).error !== undefined && `there is no ${tool}`);

/** A running tool, with what it says. */
class Tool {
  output = '';
  readonly #child: ChildProcess;
  readonly ended: Promise<unknown>;

  constructor(t: Test, tool: string, args: string[]) {
    this.#child = spawn(tool, args, { stdio: 'pipe' });
    for (const stream of [this.#child.stdout!, this.#child.stderr!])
      stream.on('data', (bytes) => {
        this.output += bytes;
      });
    this.ended = once(this.#child, 'close');
    t.teardown(() => this.#child.kill());
  }

  type(text: string): void {
    this.#child.stdin!.write(text);
  }

  /** @returns what it has said, once that matches */
  async says(what: RegExp): Promise<string> {
    await until(String(what), () => what.test(this.output)).catch((error) => {
      throw new Error(`${error.message}: ${this.output}`);
    });
    return this.output;
  }
}

t.test('openssl s_client', { skip: missing('openssl', 'version') }, async (t) => {
  const { authority, own } = await identity(t);
  const servers: Driven[] = [];
  const { port } = await serve(t, { pairs: [own], alpn: ['echo'] }, (server) => {
    servers.push(server);
    // Refused ones are looked at from the other side.
    server
      .handshake()
      .then(
        () => server.readAll((bytes) => void server.write(bytes)).then(() => server.finish()),
        () => server.close(),
      )
      .catch(() => server.close());
  });
  const start = (...more: string[]) =>
    new Tool(t, 'openssl', [
      ...['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', authority.file, '-servername', 'one.test'],
      ...more,
    ]);
  for (const [flag, version] of [
    ['-tls1_2', 'TLSv1.2'],
    ['-tls1_3', 'TLSv1.3'],
  ] as const) {
    const file = authority.path(`session-${version}`);
    const first = start(flag, '-alpn', 'echo', '-sess_out', file);
    await first.says(/Verify return code: 0 \(ok\)/);
    first.type('a line\n');
    await first.says(/\na line\n/);
    t.match(first.output, `New, ${version}`);
    t.match(first.output, 'ALPN protocol: echo');
    t.match(first.output, 'Compression: NONE');
    // Q ends it.
    first.type('Q\n');
    await first.ended;
    if (version === 'TLSv1.3') {
      const { stdout } = spawnSync('openssl', ['sess_id', '-in', file, '-noout', '-text']);
      t.match(String(stdout), /Max Early Data: 0\n/, 'its ticket allows none (RFC 8446, section 4.2.10)');
      t.equal(first.output.split('New Session Ticket arrived').length - 1, 1, 'one ticket');
      t.match(first.output, 'Cipher is TLS_AES_128_GCM_SHA256', 'the server chooses');
    }
    const again = start(flag, '-sess_in', file);
    await again.says(/Reused, TLSv1\.[23]/);
    again.type('Q\n');
    await again.ended;
  }
  const renegotiating = start('-tls1_2');
  await renegotiating.says(/Verify return code/);
  renegotiating.type('R\n');
  await renegotiating.says(/no renegotiation/);
  await renegotiating.ended;
  const updating = start('-tls1_3');
  await updating.says(/Verify return code/);
  // K asks for new keys of both directions (KeyUpdate).
  updating.type('K\n');
  await updating.says(/KEYUPDATE/);
  updating.type('after it\n');
  await updating.says(/\nafter it\n/);
  for (const more of [
    ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'],
    ['-alpn', 'other'],
  ]) {
    const refused = start(...more);
    await refused.ended;
    t.match(refused.output, /alert protocol version|no application protocol/, more.join(' '));
  }
});

t.test('openssl s_server', { skip: missing('openssl', 'version') }, async (t) => {
  const { authority, own } = await identity(t);
  const mine = await authority.sign({ dns: ['me.test'] });
  for (const flag of ['-tls1_2', '-tls1_3']) {
    const server = new Tool(t, 'openssl', [
      ...['s_server', '-accept', '127.0.0.1:0', '-cert', own.certFile, '-key', own.keyFile, flag, '-rev'],
      ...[
        '-CAfile',
        authority.file,
        '-Verify',
        '1',
        '-verify_return_error',
        '-naccept',
        '3',
        '-alpn',
        'echo',
      ],
    ]);
    const [, port] = /ACCEPT 127\.0\.0\.1:(\d+)/.exec(await server.says(/ACCEPT .*:\d+/))!;
    const credentials = { ca: authority.pem, pair: mine };
    const tls = { credentials, serverName: '127.0.0.1', insecure: false, alpn: ['echo'] };
    const context = clientContext(t, tls);
    for (const resumed of [false, true]) {
      const client = await dial(t, context, Number(port), tls);
      await client.handshake();
      await client.accepted();
      t.match(client.channel.facts, { alpn: 'echo', resumed }, flag);
      await client.write(Buffer.from('abc\n'));
      t.equal(String(await client.read()), 'cba\n');
      await client.finish();
      client.close();
    }
    const anonymous = { ...tls, credentials: { ca: authority.pem } };
    const refused = await dial(t, clientContext(t, anonymous), Number(port), anonymous);
    await t.rejects(
      refused.handshake().then(() => refused.accepted()),
      { code: /ERR_SSL_.*ALERT/ },
    );
  }
});

t.test('curl', { skip: missing('curl', '--version') }, async (t) => {
  const { authority, own } = await identity(t);
  const body = Buffer.alloc(3_000_000, 'x');
  const answer = async (server: Driven) => {
    await server.handshake();
    let head = '';
    while (!head.includes('\r\n\r\n')) {
      const bytes = await server.read();
      if (bytes.length === 0) return;
      head += bytes;
    }
    await server.write(Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`), body);
    await server.finish();
  };
  const { port } = await serve(
    t,
    { pairs: [own], alpn: ['http/1.1'] },
    (server) => void answer(server).catch(() => server.close()),
  );
  const run = async (...more: string[]) => {
    const tool = new Tool(t, 'curl', [
      ...['--silent', '--show-error', '--output', '/dev/null', '--max-time', '10'],
      ...['--write-out', '%{http_code} %{size_download} %{ssl_verify_result}\n', ...more],
    ]);
    await tool.ended;
    return tool.output;
  };
  const trust = ['--cacert', authority.file];
  for (const version of [['--tls-max', '1.2'], ['--tlsv1.3']])
    t.equal(await run(...trust, ...version, `https://127.0.0.1:${port}/`), '200 3000000 0\n');
  t.equal(
    await run(...trust, '--resolve', `one.test:${port}:127.0.0.1`, `https://one.test:${port}/`),
    '200 3000000 0\n',
  );
  t.match(await run(`https://127.0.0.1:${port}/`), /^curl: \(60\)|\ncurl: \(60\)/);
});
