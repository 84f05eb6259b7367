import { OWN_KEYS, parseNats } from 'mproxy-flow/endpoints/nats/address';
import { ServerError } from 'mproxy-flow/endpoints/nats/server-error';
import { Servers } from 'mproxy-flow/endpoints/nats/servers';
import { matches } from 'mproxy-flow/endpoints/nats/subject';
import t from 'tap';

const RULE = {
  flag: '--to',
  schemes: ['nats', 'tls+nats'],
  keys: ['frame'] as const,
  listens: false,
  ownKeys: OWN_KEYS.source,
};
const parse = (text: string) => parseNats(text, RULE);

t.test('what an address has', (t) => {
  const all = parse(
    'tls+nats://a%3Ab:p%40%2Fs%3Bw@Host-1;10.0.0.1:5000;[2001:DB8::1];[fe80::1%eth0]:4223/a.*.>,queue=g,frame=line',
  );
  t.match(all, {
    ...{
      tls: true,
      subject: 'a.*.>',
      queue: 'g',
      login: { user: 'a:b', password: 'p@/s;w' },
      keys: { frame: 'line' },
    },
    servers: [
      { host: 'host-1', port: 4222 },
      { host: '10.0.0.1', port: 5000 },
      { host: '2001:db8::1', port: 4222 },
      { host: 'fe80::1%eth0', port: 4223 },
    ],
  });
  t.strictSame([...all.own], ['queue', 'frame']);
  t.strictSame(parse('nats://t%2Fk@h/a').login, { token: 't/k' });
  t.strictSame(parse('nats://:p@h/a').login, { user: '', password: 'p' });
  t.strictSame(parse('nats://h/a').login, {});
  t.strictSame(parse('tls+nats://h/a,cert=c,key=k').certificate, { cert: 'c', key: 'k' });
  t.strictSame(parse('nats://h/a,creds=/x/y=z').login, { creds: '/x/y=z' });
  t.equal(parse('NATS://h/a%2Cb').subject, 'a,b');
  t.strictSame(parseNats('nats://h/a', RULE, { frame: 'line', ttl: 3 }).keys, { frame: 'line' });
  t.end();
});

t.test('password and token are not shown, in the text and in errors', (t) => {
  t.equal(parse('nats://u:s3cret@h/a').text, 'nats://u:***@h/a');
  t.equal(parse('nats://s3cret@h;i:1/a,queue=g').text, 'nats://***@h;i:1/a,queue=g');
  t.equal(parse('nats://u:s3@cret@h/a').text, 'nats://u:***@h/a');
  for (const rest of [
    'h',
    'h/',
    '/a',
    'h:0/a',
    'h:x/a',
    'h;/a',
    'h/a b',
    'h/a..b',
    'h/a,x=1',
    'h/a,creds=f',
    'h/%zz',
  ])
    for (const login of [
      'u:s3cret@',
      's3cret@',
      'u:s3cret%zz@',
      'u:s3cret@g:1;u:s3cret@',
      's3cret@g:1;s3cret@',
    ])
      t.throws(
        () => parse(`nats://${login}${rest}`),
        { code: 'MPROXY_USAGE', message: /^(?!.*s3cret)/ },
        login + rest,
      );
  t.end();
});

t.test('a slash in the password or token: an error that does not show it', (t) => {
  for (const [text, shown] of [
    ['nats://u:s3/cret@h/a', 'nats://u:***@h/a'],
    ['nats://u:/s3cret@h/a', 'nats://u:***@h/a'],
    ['nats://s3/cret@h', 'nats://***@h'],
    ['nats://u:s3@x/cret@h/a,creds=f', 'nats://u:***@h/a,creds=f'],
    ['nats://u:s3/cr,et@h/a', 'nats://u:***@h/a'],
    ['nats://u:s3/cr,frame=t@h/a', 'nats://u:***@h/a'],
  ] as const) {
    const why = 'an @ behind the first /; write %2F for a / in user, password or token';
    const message = `--to: ${shown}: ${why}, and %40 for an @ in the subject`;
    t.throws(() => parse(text), { code: 'MPROXY_USAGE', message }, text);
  }
  t.strictSame(parse('nats://u:s3%2Fcret@h/a%40b').login, { user: 'u', password: 's3/cret' });
  t.equal(parse('nats://h/a%40b').subject, 'a@b');
  t.strictSame(parse('nats://h/a,creds=/x@y/z').login, { creds: '/x@y/z' });
  t.end();
});

const ERRORS: [string, RegExp][] = [
  ['nats://h', /no subject/],
  ['nats://h/', /no subject/],
  ['nats:///a', /no host/],
  ['nats://u@/a', /no host/],
  ['nats://h:99999/a', /port 99999 is not a number/],
  ['nats://::1/a', /an IPv6 address stands in brackets/],
  ['nats://h;;i/a', /no host/],
  ['nats://h/a..b', /an empty token/],
  ['nats://h/a%0d%0aPUB', /control character/],
  ['nats://h/%', /a % in the subject/],
  ['nats://h/a,queue', /needs a value/],
  ['nats://h/a,queue=x y', /not the name of a queue group/],
  ['nats://h/a,queue=x,queue=y', /given twice/],
  ['nats://h/a,stream=S', /unknown key "stream"; known here: frame, creds, cert, key, queue/],
  ['nats://h/a,ttl=1', /unknown key "ttl"/],
  ['nats://u:p@h/a,creds=f', /contradict each other/],
  ['nats://h/a,frame=x', /frame/],
  ['nats://h/a,cert=f', /cert and key go together/],
  ['nats://h/a,key=f', /cert and key go together/],
  ['nats://h/a,cert=f,key=f', /cert and key need TLS; write tls\+nats:\/\//],
  ['nats://u:p@h:1;u:p@i:2/a', /a ; in user, password or token; write them once, before the first host/],
  ['nats://t@h;t@i/a', /nats:\/\/\*\*\*@i\/a: a ; in user, password or token/],
];

t.test('what is no address, and why', (t) => {
  const relay = { ...RULE, carries: 'datagrams' as const };
  t.throws(() => parseNats('nats://h/a,frame=line', relay), /frame=line cannot be used here; datagrams pass/);
  t.strictSame(parseNats('nats://h/a', relay, { frame: 'line' }).keys, {});
  for (const [text, why] of ERRORS) t.throws(() => parse(text), { code: 'MPROXY_USAGE', message: why }, text);
  t.end();
});

t.test('subjects that a pattern stands for', (t) => {
  const table: [string, string, boolean][] = [
    ['a.b', 'a.b', true],
    ['a.b', 'a.c', false],
    ['a.*', 'a.b', true],
    ['a.*', 'a', false],
    ['a.*', 'a.b.c', false],
    ['a.>', 'a.b.c', true],
    ['a.>', 'a', false],
    ['>', 'a', true],
    ['*.b', 'a.b', true],
  ];
  for (const [pattern, subject, expected] of table)
    t.equal(matches(pattern, subject), expected, `${pattern} ${subject}`);
  t.end();
});

t.test('errors of a server: which refuse the login, and which forbid something', (t) => {
  for (const text of [
    'Authorization Violation',
    'User Authentication Expired',
    'account authentication revoked',
  ])
    t.ok(new ServerError(text).refusesLogin, text);
  for (const text of [
    'Authentication Timeout',
    'Stale Connection',
    'Slow Consumer',
    'maximum connections exceeded',
  ])
    t.notOk(new ServerError(text).refusesLogin || new ServerError(text).forbids, text);
  t.equal(new ServerError('Permissions Violation for Publish to "a"').forbids, 'publish');
  t.equal(new ServerError('Permissions Violation for Subscription to "a"').forbids, 'subscription');
  t.end();
});

t.test(
  'servers: configured ones stay, learned ones follow the last INFO, the last one is tried last',
  (t) => {
    const servers = new Servers([{ host: 'a', port: 1 }]);
    const [a] = servers.round();
    servers.learn(
      [
        { host: 'a', port: 1 },
        { host: '10.0.0.1', port: 2 },
      ],
      a!,
    );
    t.strictSame(
      servers.round(a).map(({ host }) => host),
      ['10.0.0.1', 'a'],
    );
    t.equal(
      servers.round(a)[0]!.tlsName,
      'a',
      'an address that a cluster told is verified by the name that told it',
    );
    servers.learn([{ host: 'b', port: 3 }], a!);
    t.strictSame(
      servers.round(a).map(({ host }) => host),
      ['b', 'a'],
    );
    servers.learn(
      Array.from({ length: 1000 }, (_, i) => ({ host: `h${i}`, port: 1 })),
      a!,
    );
    t.equal(servers.round().length, 257);
    const firsts = new Set(Array.from({ length: 100 }, () => servers.round()[0]!.host));
    t.ok(firsts.size > 10, 'in random order');
    t.end();
  },
);
