import { X509Certificate } from 'node:crypto';
import { type ConnectionOptions, connect } from 'node:tls';
import type { TlsPair, TlsServer } from 'mproxy-net';
import t, { type Test } from 'tap';
import { Authority, type Pair } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { listen } from './connections.js';
import { ENGINES } from './engines.js';

/** What a client has seen, and what the server has of it. */
interface Visit {
  /** Undefined: it was refused. */
  certificate: Buffer | undefined;
  resumed: boolean;
  ticket: Buffer | undefined;
  /** The alert, or how it was closed. */
  error: string;
}

for (const { name, streams } of ENGINES) {
  t.test(name, async (t) => {
    const authority = await Authority.make(t);
    const staff = await Authority.make(t, 'staff');
    const partners = await Authority.make(t, 'partners');
    const plain = await authority.sign({ dns: ['plain.test'] });
    const one = await authority.sign({ dns: ['staff.test'] });
    const two = await authority.sign({ dns: ['partners.test'] });
    const employee = await staff.sign({ dns: ['employee.test'] });
    const partner = await partners.sign({ dns: ['partner.test'] });
    const sites: TlsPair[] = [plain, { ...one, clientCa: staff.pem }, { ...two, clientCa: partners.pem }];

    const open = (t: Test, tls: Partial<TlsServer> = {}) => {
      const errors: Error[] = [];
      const onHandshakeError = (error: Error) => errors.push(error);
      return listen(t, streams, { tls: { pairs: sites, ...tls }, onHandshakeError }).then((opened) => ({
        ...opened,
        errors,
      }));
    };
    type Opened = Awaited<ReturnType<typeof open>>;

    /** Connects, exchanges a word, and ends. */
    async function visit(
      t: Test,
      { port, logs, errors }: Opened,
      servername: string | undefined,
      own?: Pair,
      more: ConnectionOptions = {},
    ): Promise<Visit> {
      const [served, refused] = [logs.length, errors.length];
      const options = { host: '127.0.0.1', port, rejectUnauthorized: false, ...more };
      const socket = connect({
        ...options,
        ...(servername !== undefined && { servername }),
        ...(own && { cert: own.cert, key: own.key }),
      });
      t.teardown(() => socket.destroy());
      const visit: Visit = { certificate: undefined, resumed: false, ticket: undefined, error: '' };
      let closed = false;
      socket.on('session', (ticket) => {
        visit.ticket = ticket;
      });
      socket.on('error', (error: NodeJS.ErrnoException) => {
        visit.error = error.code ?? error.message;
      });
      socket.on('close', () => {
        closed = true;
      });
      const isServed = () => logs.length > served;
      await until('it is served or refused', () => isServed() || errors.length > refused);
      if (isServed()) {
        visit.certificate = socket.getPeerX509Certificate()?.raw;
        visit.resumed = socket.isSessionReused();
        const log = logs.at(-1)!;
        log.connection.write([Buffer.from('word')]);
        await until('a word arrives', () => socket.bytesRead > 0 && socket.read() !== null);
        log.connection.close();
      }
      await until('it is closed', () => closed);
      return visit;
    }

    const raw = ({ cert }: { cert: string | Buffer }) => new X509Certificate(cert).raw;
    const isSite = (t: Test, seen: Visit, site: TlsPair | undefined, why: string) =>
      t.strictSame(seen.certificate, site && raw(site), why);

    t.test('each site has its certificate, its client CA and its number', async (t) => {
      const opened = await open(t);
      const cases: [name: string | undefined, own: Pair | undefined, site: number | undefined][] = [
        ['plain.test', undefined, 0],
        ['plain.test', employee, 0],
        ['other.test', undefined, 0],
        [undefined, undefined, 0],
        ['staff.test', employee, 1],
        ['staff.test', undefined, undefined],
        ['staff.test', partner, undefined],
        ['partners.test', partner, 2],
        ['partners.test', employee, undefined],
      ];
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
        for (const [servername, own, site] of cases) {
          const text = `${maxVersion} ${servername} ${own && new X509Certificate(own.cert).subject}`;
          const seen = await visit(t, opened, servername, own, { maxVersion });
          isSite(t, seen, site === undefined ? undefined : sites[site], text);
          if (site === undefined) continue;
          const { tls } = opened.logs.at(-1)!.connection;
          t.equal(tls?.pair, site);
          t.equal(tls?.clientCa, sites[site]!.clientCa);
          t.strictSame(tls?.peerCertificate, site === 0 ? undefined : raw(own!), 'the client, verified');
        }
    });

    t.test('a session is resumed at its own site alone', async (t) => {
      const opened = await open(t);
      const first = await visit(t, opened, 'plain.test', undefined, { maxVersion: 'TLSv1.2' });
      const secret = await visit(t, opened, 'staff.test', employee, { maxVersion: 'TLSv1.2' });
      for (const { ticket } of [first, secret]) {
        const more = { ...(ticket && { session: ticket }), maxVersion: 'TLSv1.2' } as const;
        isSite(
          t,
          await visit(t, opened, 'partners.test', undefined, more),
          undefined,
          'without a certificate',
        );
        isSite(
          t,
          await visit(t, opened, 'partners.test', employee, more),
          undefined,
          'with that of another CA',
        );
      }
      const at13 = await visit(t, opened, 'staff.test', employee);
      const session = at13.ticket && { session: at13.ticket };
      isSite(t, await visit(t, opened, 'partners.test', employee, session), undefined, 'nor with TLS 1.3');
      if (name === 'node') return;
      const again = await visit(t, opened, 'staff.test', employee, session);
      t.equal(again.resumed, true, 'at its own it is');
      t.strictSame(opened.logs.at(-1)!.connection.tls?.peerCertificate, raw(employee));
      t.equal(opened.logs.at(-1)!.connection.tls?.pair, 1);
    });

    t.test('strict: unknown names, and none, are refused', async (t) => {
      const opened = await open(t, {
        pairs: [plain, { ...one, names: ['*.staff.test'] }],
        strictNames: true,
      });
      isSite(t, await visit(t, opened, 'plain.test'), plain, 'a name of a certificate');
      isSite(t, await visit(t, opened, 'a.b.staff.test'), one, 'a configured name');
      for (const unknown of ['staff.test', 'other.test', undefined]) {
        const seen = await visit(t, opened, unknown);
        isSite(t, seen, undefined, `${unknown}`);
        // unrecognized_name is 112 (RFC 6066, section 9).
        if (name === 'linux') t.equal(seen.error, 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME');
      }
    });

    t.test('whether clients need a certificate can change, for connections from then on', async (t) => {
      const opened = await open(t, { pairs: [plain] });
      const { listener } = opened;
      isSite(t, await visit(t, opened, 'plain.test'), plain, 'none is needed');
      const { ticket } = await visit(t, opened, 'plain.test');
      listener.secure({ pairs: [plain], clientCa: staff.pem });
      isSite(t, await visit(t, opened, 'plain.test'), undefined, 'one is needed');
      const session = ticket && { session: ticket };
      isSite(t, await visit(t, opened, 'plain.test', undefined, session), undefined, 'for a session, too');
      isSite(t, await visit(t, opened, 'plain.test', employee), plain, 'of this CA');
      listener.secure({ pairs: [plain], clientCa: partners.pem });
      isSite(t, await visit(t, opened, 'plain.test', employee), undefined, 'of another CA');
      listener.secure({ pairs: [{ ...plain, clientCa: partners.pem }, one] });
      isSite(t, await visit(t, opened, 'plain.test', partner), plain, 'for some sites');
      isSite(t, await visit(t, opened, 'staff.test'), one, 'and not for others');
      t.throws(() => listener.secure({ pairs: [{ ...plain, key: one.key }] }));
      isSite(t, await visit(t, opened, 'staff.test'), one, 'an error changes nothing');
      listener.secure({ pairs: [plain] });
      isSite(t, await visit(t, opened, 'plain.test'), plain, 'none is needed again');
    });
  });
}
