import t from 'tap';
import { Authority } from '../support/certificates.js';
import { start } from '../support/command.js';
import { udpSink } from '../support/net.js';
import { until } from '../support/wait.js';
import { NatsServer, noServer } from './server.js';

t.test(
  'TLS: wanted by the address or by the server alone, verified, never left out',
  { skip: noServer },
  async (t) => {
    const authority = await Authority.make(t);
    const { certFile, keyFile } = await authority.sign({ ips: ['127.0.0.1'] });
    const server = await NatsServer.start(t, {
      config: `tls { cert_file: "${certFile}", key_file: "${keyFile}" }`,
    });
    const url = server.url('a');
    const sink = await udpSink(t);
    const to = ['--udp-downstream-addr', `127.0.0.1:${sink.port}`];
    const forward = (from: string, ...flags: string[]) =>
      start(t, 'forward', ['--udp-listen-addr', from, ...to, ...flags]);
    const ours = forward(`tls+${url}`, '--tls-ca', authority.file);
    await ours.says('connected to');
    const client = start(t, 'client', ['--path', '-', '--server-addr', url, '--tls-ca', authority.file]);
    client.child.stdin!.end('hello\n');
    t.equal(await client.exited, 0, client.stderr);
    t.equal(String(await sink.has(6)), 'hello\n');
    const file = start(t, 'server', [
      '--path',
      '-',
      '--listen-addr',
      `tls+${url}`,
      '--tls-ca',
      authority.file,
    ]);
    await file.says('connected to');
    const wrong = forward(`tls+${url}`);
    await wrong.says(/its authority is not known; trust it with --tls-ca FILE; trying again/);
    const plain = await NatsServer.start(t);
    const refused = forward(`tls+${plain.url('a', 'u:s3cret@')}`);
    await refused.says(/the server has no TLS; trying again/);
    t.notMatch(refused.stderr, /s3cret/);
  },
);

t.test(
  'a client certificate: that of the flags, or of the address where the flags are for listeners',
  { skip: noServer },
  async (t) => {
    const authority = await Authority.make(t);
    const { certFile, keyFile } = await authority.sign({ ips: ['127.0.0.1'] });
    const own = await authority.sign({ dns: ['client'] });
    const listener = await authority.sign({ ips: ['127.0.0.1'] });
    const files = `cert_file: "${certFile}", key_file: "${keyFile}", ca_file: "${authority.file}"`;
    const server = await NatsServer.start(t, { config: `tls { ${files}, verify: true }` });
    const url = `tls+${server.url('a')}`;
    const ca = ['--tls-ca', authority.file];
    const flags = ['--tls-cert', own.certFile, '--tls-key', own.keyFile];
    const listening = ['--listen-addr', 'tls://127.0.0.1:0', '--tls-cert', listener.certFile];
    const receiver = start(t, 'server', [
      ...['--path', '-', '--listen-addr', `${url},cert=${own.certFile},key=${own.keyFile}`],
      ...[...ca, ...listening, '--tls-key', listener.keyFile],
    ]);
    await receiver.says('connected to');
    const client = start(t, 'client', ['--path', '-', '--server-addr', url, ...ca, ...flags]);
    client.child.stdin!.end('hello\n');
    t.equal(await client.exited, 0, client.stderr);
    await until('the line', () => String(receiver.stdout) === 'hello\n');
    const without = start(t, 'client', ['--path', '-', '--server-addr', url, ...ca]);
    await without.says('trying again in');
    const missing = start(t, 'server', [
      ...['--path', '-', ...ca, '--listen-addr', `${url},cert=/nowhere.pem,key=/nowhere.key`],
    ]);
    t.equal(await missing.exited, 1);
    t.match(missing.stderr, /certificate: \/nowhere\.pem with \/nowhere\.key: .*no such file/);
  },
);
