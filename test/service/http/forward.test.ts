import { type Fields, parseRequestHead, type RequestHead } from 'mproxy-http';
import { Context } from 'mproxy-service/context';
import { type ForwardOptions, forward, forwarded } from 'mproxy-service/http/forward';
import { HttpResponse, type HttpService } from 'mproxy-service/http/message';
import { stack } from 'mproxy-service/service';
import t from 'tap';
import { ask, context, request } from '../exchanges.js';

type Lines = [string, string][];

/** As they come from a peer. */
function parsed(lines: Lines): Fields {
  const head = Buffer.from(
    `GET / HTTP/1.1\r\nHost: a\r\n${lines.map((line) => `${line.join(': ')}\r\n`).join('')}\r\n`,
  );
  return (parseRequestHead(head, 0, head.length) as RequestHead).fields;
}

/** The fields that a request has behind the layer, and the client that it is of. */
async function behind(
  fields: Lines,
  options: ForwardOptions & {
    peer?: string | undefined;
    authority?: string;
    version?: '1.0' | '1.1';
    also?: boolean;
  } = {},
): Promise<{ lines: Record<string, string>; client: string | undefined }> {
  let lines: Record<string, string> = {};
  const inner: HttpService = {
    call(one) {
      lines = Object.fromEntries([...one.fields].map(([name]) => [name, one.fields.get(name)!]));
      return HttpResponse.text(200, '');
    },
  };
  const layers = options.also ? [forward(options), forwarded()] : [forward(options)];
  const how = context('peer' in options ? { peer: options.peer } : {});
  const { authority = 'example.com:8000', version = '1.1' } = options;
  await ask(stack(layers, inner), request({ fields: parsed(fields), authority, version }), how).ended();
  return { lines, client: how.client };
}

t.test('the upstream is told of the client', async (t) => {
  const { lines, client } = await behind([['accept', '*/*']]);
  t.strictSame(lines, {
    accept: '*/*',
    'x-forwarded-for': '192.0.2.1',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'example.com:8000',
    'x-real-ip': '192.0.2.1',
    via: '1.1 mproxy',
  });
  t.equal(client, '192.0.2.1');
});

t.test('a client of HTTP/1.0 without Host, an IPv6 address with a zone, a Unix socket', async (t) => {
  const old = await behind([], { version: '1.0', authority: '', peer: 'fe80::1%eth0' });
  t.strictSame(old.lines, {
    'x-forwarded-for': 'fe80::1',
    'x-forwarded-proto': 'http',
    'x-real-ip': 'fe80::1',
    via: '1.0 mproxy',
  });
  const unix = await behind([], { peer: undefined });
  t.strictSame(unix.lines, {
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'example.com:8000',
    via: '1.1 mproxy',
  });
  t.equal(unix.client, undefined);
});

const SPOOFED = [
  'X-Forwarded-For',
  'X_Forwarded_For',
  'x-forwarded_for',
  'X-Forwarded-Proto',
  'X-Forwarded-Host',
  'X-Forwarded-Port',
  'X-Forwarded-Prefix',
  'X-Forwarded-Server',
  'X-Forwarded-Anything',
  'X_Forwarded_Anything',
  'X-Real-IP',
  'X_Real_IP',
  'Forwarded',
];

t.test('spoofed forwarding fields of an untrusted client are removed, however they are spelt', async (t) => {
  for (const options of [{}, { trusted: ['10.0.0.0/8'] }, { trusted: ['unix:'] }]) {
    for (const name of SPOOFED) {
      const { lines, client } = await behind(
        [
          [name.toLowerCase(), '6.6.6.6'],
          ['accept', '*/*'],
        ],
        options,
      );
      t.notOk(
        Object.values(lines).some((value) => value.includes('6.6.6.6')),
        name,
      );
      t.equal(client, '192.0.2.1');
      t.equal(lines['x-forwarded-for'], '192.0.2.1');
    }
  }
});

t.test('fields that layers own are removed, too', async (t) => {
  const owned = ['X-User', 'x-request-id'];
  const { lines } = await behind(
    [
      ['x-user', 'root'],
      ['x_user', 'root'],
      ['x-userx', 'kept'],
    ],
    { owned },
  );
  t.strictSame([lines['x-user'], lines.x_user, lines['x-userx']], [undefined, undefined, 'kept']);
});

t.test('Via is extended', async (t) => {
  const { lines } = await behind([['via', '1.0 fred']]);
  t.equal(lines.via, '1.0 fred, 1.1 mproxy');
});

t.test('the chain of trusted proxies tells the client', async (t) => {
  const trusted = ['10.0.0.0/8', 'fd00::/8'];
  const chains: [string | undefined, string, string?][] = [
    ['198.51.100.1', '198.51.100.1'],
    ['6.6.6.6, 198.51.100.1', '198.51.100.1', 'what the client says of itself is not believed'],
    ['6.6.6.6, 198.51.100.1, 10.1.1.1', '198.51.100.1', 'trusted proxies are skipped'],
    ['10.1.1.2, 10.1.1.1', '10.1.1.2', 'all are trusted: the first'],
    ['198.51.100.1:4000', '198.51.100.1'],
    ['[2001:db8::1]:4000', '2001:db8::1'],
    ['2001:DB8:0::1', '2001:db8::1'],
    ['6.6.6.6, unknown, 10.1.1.1', '10.1.1.1', 'nothing is believed beyond what is no address'],
    ['6.6.6.6, <script>', '10.0.0.1'],
    ['', '10.0.0.1'],
    [undefined, '10.0.0.1'],
  ];
  for (const [chain, client, why] of chains) {
    const fields: Lines = chain === undefined ? [] : [['x-forwarded-for', chain]];
    const result = await behind(fields, { trusted, peer: '10.0.0.1' });
    t.equal(result.client, client, why ?? String(chain));
    t.equal(result.lines['x-forwarded-for'], [...(chain ? [chain] : []), '10.0.0.1'].join(', '));
    t.equal(result.lines['x-real-ip'], client);
  }
});

t.test('trusted proxies tell scheme and host; what they did not write themselves is removed', async (t) => {
  const options = { trusted: ['10.0.0.1', 'unix:'], peer: '10.0.0.1' };
  const told: Lines = [
    ['x-forwarded-for', '198.51.100.1'],
    ['x-forwarded-for', '198.51.100.2'],
    ['x-forwarded-proto', 'https'],
    ['x-forwarded-host', 'shop.test'],
    ['x-forwarded-prefix', '/a'],
    ['x_forwarded_for', '6.6.6.6'],
    ['x_real_ip', '6.6.6.6'],
  ];
  const { lines } = await behind(told, options);
  t.strictSame(lines, {
    'x-forwarded-for': '198.51.100.1, 198.51.100.2, 10.0.0.1',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'shop.test',
    'x-forwarded-prefix': '/a',
    'x-real-ip': '198.51.100.2',
    via: '1.1 mproxy',
  });
  const wrong = await behind(
    [
      ['x-forwarded-proto', 'gopher'],
      ['x-forwarded-host', 'a b'],
    ],
    options,
  );
  t.match(wrong.lines, { 'x-forwarded-proto': 'http', 'x-forwarded-host': 'example.com:8000' });
  const unix = await behind([['x-forwarded-for', '198.51.100.1']], { ...options, peer: undefined });
  t.equal(unix.client, '198.51.100.1');
});

t.test('Forwarded is read where X-Forwarded-For is missing, and extended where asked', async (t) => {
  const trusted = { trusted: ['10.0.0.1'], peer: '10.0.0.1' };
  const fields: Lines = [['forwarded', 'for="[2001:db8::1]:80";proto=https, for=_hidden, for=198.51.100.1']];
  const { client, lines } = await behind(fields, { ...trusted, also: true });
  t.equal(client, '198.51.100.1');
  t.equal(lines.forwarded, `${fields[0]![1]}, for=10.0.0.1;host="example.com:8000";proto=http`);
  const own = await behind([['forwarded', 'for=6.6.6.6']], { also: true, peer: '2001:db8::1' });
  t.equal(own.lines.forwarded, 'for="[2001:db8::1]";host="example.com:8000";proto=http');
});

t.test('what is no node in Forwarded neither fails nor becomes one of X-Forwarded-For', async (t) => {
  for (const node of ['" a"', '"1.2.3.4, 5.6.7.8"', '""', '"\t"', '"a b"'])
    for (const text of [`for=${node}`, `for=${node}, for=198.51.100.1`]) {
      const { lines } = await behind([['forwarded', text]], { trusted: ['10.0.0.1'], peer: '10.0.0.1' });
      const more = text.includes('198') ? '198.51.100.1, ' : '';
      t.equal(lines['x-forwarded-for'], `unknown, ${more}10.0.0.1`, text);
    }
});

t.test('a connection whose requests differ in their host tells each', async (t) => {
  const connection = new Context({
    peer: { address: '192.0.2.1', port: 1 },
    local: undefined,
    tls: undefined,
    listener: '',
  });
  const hosts: (string | undefined)[] = [];
  const service = forward()({
    call(one) {
      hosts.push(one.fields.get('x-forwarded-host'));
      return HttpResponse.text(200, '');
    },
  });
  for (const authority of ['a', 'b', 'b', 'a'])
    await ask(service, request({ authority }), context({ connection })).ended();
  t.strictSame(hosts, ['a', 'b', 'b', 'a']);
});
