import { X509Certificate } from 'node:crypto';
import type { TlsClient } from 'mproxy-net';
import t from 'tap';
import { Authority } from '../support/certificates.js';
import { clientContext, type Driven, dial, serve } from './tls-channels.js';

t.test('bytes pass both ways', async (t) => {
  const authority = await Authority.make(t);
  const [one, two] = [
    await authority.sign({ dns: ['one.test'] }),
    await authority.sign({ dns: ['two.test'] }),
  ];
  const servers: Promise<Driven>[] = [];
  const { port } = await serve(t, { pairs: [one, two], alpn: ['echo', 'other'] }, (server) =>
    servers.push(server.handshake()),
  );
  const tls: TlsClient = {
    credentials: { ca: authority.pem },
    serverName: 'two.test',
    insecure: false,
    alpn: ['other'],
  };
  const context = clientContext(t, tls);
  for (const resumed of [false, true]) {
    const client = await dial(t, context, port, tls);
    await client.handshake();
    const server = await servers.pop()!;
    const facts = { version: 'TLSv1.3', serverName: 'two.test', alpn: 'other', resumed };
    t.strictSame(client.channel.facts, { ...facts, peerCertificate: new X509Certificate(two.cert).raw });
    t.strictSame(server.channel.facts, { ...facts, peerCertificate: undefined });
    await client.write(Buffer.from('hel'), Buffer.from('lo'));
    t.equal(String(await server.read()), 'hello');
    await server.write(Buffer.from('answer'));
    t.equal(String(await client.read()), 'answer');
    await client.finish();
    t.equal((await server.read()).length, 0);
    await server.write(Buffer.from('half-closed'));
    t.equal(String(await client.read()), 'half-closed');
    await server.finish();
    t.equal((await client.read()).length, 0);
  }
});
