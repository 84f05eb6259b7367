import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MproxyError } from 'mproxy-base';
import { readConfig } from 'mproxy-gateway/config/read';
import { showConfig } from 'mproxy-gateway/config/show';
import { type GatewayOptions, readOptions } from 'mproxy-gateway/options';
import t from 'tap';
import { Authority, type Pair } from '../support/certificates.js';
import { shortFolder } from '../support/short-folder.js';

const folder = shortFolder(t);
const authority = await Authority.make(t);

/** A certificate in files of the folder: `NAME.pem`, `NAME.key`. */
function put(name: string, { cert, key }: Pick<Pair, 'cert' | 'key'>): void {
  writeFileSync(join(folder, `${name}.pem`), cert);
  writeFileSync(join(folder, `${name}.key`), key);
}

const a = await authority.sign({ dns: ['a.test', 'www.a.test'] });
put('a', a);
put('b', await authority.sign({ dns: ['*.b.test', 'b.test'] }));
put('again', await authority.sign({ dns: ['a.test'] }));
writeFileSync(join(folder, 'ca.pem'), authority.pem);
writeFileSync(join(folder, 'text'), 'no PEM');
/** The second certificate lacks a line. */
writeFileSync(join(folder, 'damaged.pem'), a.cert + authority.pem.replace(/\n.+\n(?=-----END)/, '\n'));

const files = (name: string, keys = {}) => ({ cert_file: `${name}.pem`, key_file: `${name}.key`, ...keys });
const certificates = [files('a'), files('b')];
const routes = [{ path: '/', upstream: 'http://127.0.0.1:3000' }];
const good = { listen: ['tls://[::]:443', '0.0.0.0:80'], certificates, routes };
const but = (keys: object) => ({ ...good, ...keys });
const certified = (...all: unknown[]) => but({ certificates: all });
const upstream = (keys: object) => but({ routes: [{ path: '/', upstream: 'https://a.test', ...keys }] });

function read(value: unknown) {
  return readConfig({ value, folder, name: 'g.json', hasVariables: false });
}

async function problems(value: unknown): Promise<string[]> {
  const error = await read(value).then(
    () => undefined,
    (error) => error,
  );
  if (error === undefined) return [];
  if (!(error instanceof MproxyError) || error.code !== 'MPROXY_USAGE') throw error;
  return error.message.replaceAll(`${folder}/`, '').split('\n');
}

t.strictSame(await problems(good), [], 'the document that they change is good');

/** A document, and the only line that is reported of it. */
const CASES: [document: unknown, line: string][] = [
  // Files.
  [
    certified(files('none', { key_file: 'a.key' })),
    'certificates[0].cert_file: "none.pem": no such file or directory',
  ],
  [
    certified(files('a', { key_file: 'none' })),
    'certificates[0].key_file: "none": no such file or directory',
  ],
  [
    certified(files('a', { cert_file: 'text' })),
    'certificates[0].cert_file: "text": expected a certificate in PEM',
  ],
  [
    certified(files('a', { key_file: 'text' })),
    'certificates[0].key_file: "text": expected a private key in PEM without a passphrase',
  ],
  [
    certified(files('a', { key_file: 'b.key' })),
    'certificates[0].key_file: "b.key": it is the key of another certificate',
  ],
  [
    certified(files('a', { client_ca_file: 'text' })),
    'certificates[0].client_ca_file: "text": expected certificates in PEM',
  ],
  [
    certified(files('a', { client_ca_file: 'damaged.pem' })),
    'certificates[0].client_ca_file: "damaged.pem": expected certificates in PEM',
  ],
  [
    certified(files('a', { cert_file: 'damaged.pem' })),
    'certificates[0].cert_file: "damaged.pem": expected a certificate in PEM',
  ],
  [
    but({ tls: { enabled: true, cert_file: 'none', key_file: 'a.key' }, port: 1 }),
    'tls.cert_file: "none": no such file or directory',
  ],
  // Certificates and listeners.
  [certified(), 'listen[0]: TLS needs a certificate; give certificates'],
  [
    but({ listen: ['127.0.0.1:80'], certificates: [files('a')] }),
    'certificates[0]: there is no listener with TLS',
  ],
  [
    but({ tls: { enabled: true, ...files('b') }, listen: ['127.0.0.1:80'], certificates: [] }),
    'tls: without host and port it has no effect',
  ],
  [
    but({ certificates: 'a.pem' }),
    'certificates: "a.pem": expected a list, each an object with cert_file and key_file',
  ],
  [certified({ cert_file: 'a.pem' }), 'certificates[0].key_file: it is missing; expected a path'],
  [certified(files('a', { host: 'a' })), 'certificates[0].host: there is no such key; did you mean hosts?'],
  // Hosts.
  [
    certified(files('a', { hosts: ['a b'] })),
    'certificates[0].hosts[0]: "a b": expected a host name, or one like *.example.com',
  ],
  [
    certified(files('a', { hosts: [] })),
    /certificates\[0\]\.hosts: \[\]: expected a list that is not empty/.source,
  ],
  [
    certified(files('a', { hosts: ['a.test', 'a.test'] })),
    'certificates[0].hosts[1]: "a.test": the same host as [0]',
  ],
  [
    certified(files('a', { hosts: ['c.test'] })),
    'certificates[0].hosts[0]: "c.test": the certificate has no such name',
  ],
  [
    certified(files('a'), files('again', { hosts: ['a.test'] })),
    'certificates[1].hosts[0]: "a.test": certificates[0] has it, too',
  ],
  [
    certified(files('a'), files('again')),
    'certificates[1]: it is never used: certificates[0] has a.test, too; give hosts',
  ],
  [
    but({ listen: ['tls://[::]:443'], routes: [{ path: '/', host: 'c.test', respond: {} }] }),
    'routes[0].host: "c.test": no certificate has this name',
  ],
  [
    but({
      certificates: [
        files('b', { hosts: ['b.test', 'www.b.test'] }),
        files('b', { hosts: ['*.b.test'], client_ca_file: 'ca.pem' }),
      ],
      routes: [{ path: '/', host: '*.b.test', respond: {} }],
    }),
    'routes[0].host: "*.b.test": www.b.test of certificates[0] has other authorities of clients; give it a route of its own',
  ],
  // What goes together.
  [
    but({ listen: ['tls://[::]:443'], https_redirection: true }),
    'https_redirection: there is no listener without TLS',
  ],
  [
    but({ listen: ['[::]:80'], certificates: [], https_redirection: true }),
    'https_redirection: there is no listener with TLS',
  ],
  [but({ https_port: 443 }), 'https_port: without https_redirection it has no effect'],
  [
    but({ listen: ['[::]:80'], certificates: [], strict_sni: true }),
    'strict_sni: there is no listener with TLS',
  ],
  [but({ listen: ['[::]:80'], certificates: [], hsts: {} }), 'hsts: there is no listener with TLS'],
  [
    but({ hsts: { preload: true } }),
    'hsts.preload: it needs include_subdomains, and a max_age of at least 31536000',
  ],
  [
    but({ client_certificate: { subject_field: 'X-S' } }),
    'client_certificate: no certificate has a client_ca_file',
  ],
  [
    but({ client_certificate: {} }),
    'client_certificate: it says nothing; give subject_field or fingerprint_field',
  ],
  [
    but({ client_certificate: { subject_field: 'X-S', fingerprint_field: 'x-s' } }),
    'client_certificate.fingerprint_field: subject_field is the same field',
  ],
  // Upstreams.
  [upstream({ tls_ca: 'none' }), 'routes[0]: certificate: none: no such file or directory'],
  [upstream({ tls_ca: 'damaged.pem' }), 'routes\\[0\\]: certificate: damaged\\.pem: .+'],
  [upstream({ tls_ca: 'text' }), 'routes[0]: certificate: text: no certificate in PEM'],
  [upstream({ tls_cert: 'a.pem' }), 'routes[0].tls_key: it is missing; tls_cert and tls_key go together'],
  [upstream({ tls_key: 'a.key' }), 'routes[0].tls_cert: it is missing; tls_cert and tls_key go together'],
  [
    upstream({ tls_cert: 'a.pem', tls_key: 'b.key' }),
    'routes[0]: certificate: a.pem with b.key: the key is not that of the certificate',
  ],
  [upstream({ tls_servername: '.a' }), 'routes[0].tls_servername: ".a": expected the name of a host'],
  [
    upstream({ tls_ca: 'ca.pem', tls_insecure: true }),
    'routes[0].tls_ca: it has no effect with tls_insecure',
  ],
  [
    upstream({ upstream: 'http://a.test', tls_ca: 'ca.pem' }),
    'routes[0].tls_ca: it has no effect on upstreams that are not https://',
  ],
  [
    but({ routes: [{ path: '/', respond: {}, tls_insecure: true }] }),
    'routes[0].tls_insecure: it has no effect on respond',
  ],
];

for (const [document, line] of CASES)
  t.test(line, async (t) => {
    const [first = 'nothing', ...others] = await problems(document);
    if (line.includes('\\')) t.match(first, new RegExp(line));
    else t.equal(first, `g.json: ${line}`);
    t.strictSame(others, []);
  });

t.test('all files are looked at, and reported at once', async (t) => {
  t.strictSame(
    await problems({ ...upstream({ tls_ca: 'none' }), certificates: [files('x'), files('a'), files('y')] }),
    [
      'g.json: certificates[0].cert_file: "x.pem": no such file or directory',
      'g.json: certificates[0].key_file: "x.key": no such file or directory',
      'g.json: certificates[2].cert_file: "y.pem": no such file or directory',
      'g.json: certificates[2].key_file: "y.key": no such file or directory',
      'g.json: routes[0]: certificate: none: no such file or directory',
    ],
  );
});

t.test('what is printed has the same effect', async (t) => {
  const document = {
    ...{ host: '127.0.0.1', port: 443, tls: { enabled: true, ...files('a') } },
    listen: [
      '[::]:80',
      { address: 'unix:/run/x', tls: true },
      { address: 'tls://[::1]:444' },
      'tls://fd:web',
    ],
    certificates: [{ ...files('b'), hosts: ['*.B.test', 'b.test.'], client_ca_file: 'ca.pem' }],
    ...{ https_redirection: true, https_port: 8443, strict_sni: true, hsts: { max_age: 5 } },
    client_certificate: { subject_field: 'X-S' },
    routes: [{ path: '/', upstream: 'https://a.test', tls_ca: 'ca.pem', tls_servername: 'b' }],
  };
  const config = await read(document);
  t.match(config, {
    listen: [
      { text: '127.0.0.1:443', tls: true },
      { text: '[::]:80', tls: false },
      { text: 'unix:/run/x', tls: true },
      { text: '[::1]:444', tls: true, at: { kind: 'tcp', host: '::1', port: 444 } },
      { text: 'fd:web', tls: true, at: { kind: 'fd', fd: 'web' } },
    ],
    certificates: [
      { place: 'tls', certFile: join(folder, 'a.pem'), hosts: undefined },
      { place: 'certificates[0]', hosts: ['*.b.test', 'b.test'], clientCaFile: join(folder, 'ca.pem') },
    ],
    routes: [
      { target: { upstreams: ['https://a.test:443'], tlsCa: join(folder, 'ca.pem'), tlsServername: 'b' } },
    ],
  });
  t.equal(showConfig(await read(JSON.parse(showConfig(config)))), showConfig(config));
});

t.test('flags give listeners and certificates', async (t) => {
  const flags = {
    ...{ listenAddr: 'tls://127.0.0.1:443', route: '/=https://a.test' },
    ...{ tlsCert: [a.certFile], tlsKey: [a.keyFile], tlsClientCa: authority.file },
  };
  t.match(await readOptions(flags), {
    listen: [{ place: '--listen-addr', text: '127.0.0.1:443', tls: true }],
    certificates: [
      { place: '--tls-cert', certFile: a.certFile, keyFile: a.keyFile, clientCaFile: authority.file },
    ],
  });
  const wrong: [GatewayOptions, string][] = [
    [{ ...flags, tlsKey: [] }, '--tls-key: missing or too many: 1 --tls-cert need as many --tls-key'],
    [
      { ...flags, tlsCert: [], tlsKey: [] },
      '--tls-cert: missing: a tls:// listener needs a certificate and its key',
    ],
    [{ ...flags, tlsKey: ['/none'] }, '--tls-cert: "/none": no such file or directory'],
    [{ ...flags, listenAddr: '127.0.0.1:80' }, '--tls-cert: there is no listener with TLS'],
    [
      { listenAddr: 'tls:127.0.0.1:80', route: flags.route },
      /^--listen-addr: "tls:127\.0\.0\.1:80": /.source,
    ],
  ];
  for (const [options, message] of wrong) {
    const error = await readOptions(options).catch((error) => error);
    if (message.startsWith('^')) t.match(error.message, new RegExp(message));
    else t.equal(error.message, message);
  }
});
