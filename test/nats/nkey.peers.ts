import { createUser, fromPublic } from '@nats-io/nkeys';
import { loginFields } from 'mproxy-flow/endpoints/nats/credentials';
import { UserKey } from 'mproxy-flow/endpoints/nats/nkey';
import t from 'tap';
import { Folder } from './folder.js';

t.test('keys and signatures are those of @nats-io/nkeys', (t) => {
  for (let i = 0; i < 50; i++) {
    const pair = createUser();
    const key = new UserKey(Buffer.from(pair.getSeed()).toString());
    t.equal(key.publicKey, pair.getPublicKey());
    const signature = Buffer.from(key.sign('a nonce'), 'base64url');
    t.ok(fromPublic(key.publicKey).verify(Buffer.from('a nonce'), signature));
  }
  t.end();
});

t.test('a seed that is mistyped, cut short or of another kind is refused, and not shown', async (t) => {
  const { createAccount } = await import('@nats-io/nkeys');
  const seed = Buffer.from(createUser().getSeed()).toString();
  const wrong: [string, RegExp][] = [
    // Of the last of its 58 characters the lowest two bits are unused.
    [seed.replace(/.$/, (last) => (last === 'A' ? 'E' : 'A')), /checksum/],
    [seed.slice(0, -1), /checksum/],
    [seed.toLowerCase(), /base32/],
    ['', /checksum/],
    ['S', /checksum/],
    [createUser().getPublicKey(), /not a seed/],
    [Buffer.from(createAccount().getSeed()).toString(), /not of a user/],
  ];
  for (const [text, why] of wrong) {
    t.throws(() => new UserKey(text), why);
    try {
      new UserKey(text);
    } catch (error) {
      t.notOk(text !== '' && text !== 'S' && String(error).includes(text.slice(2)), 'the key is not shown');
    }
  }
});

t.test('credentials files: JWT and seed, a seed alone, and errors that name the file', (t) => {
  const folder = new Folder(t);
  const pair = createUser();
  const seed = Buffer.from(pair.getSeed()).toString();
  const block = (name: string, text: string) =>
    `-----BEGIN ${name}-----\n${text}\n------END ${name}------\n\n`;
  const jwt = block('NATS USER JWT', 'aa.bb-_.cc');
  const whole = folder.write('a.creds', `${jwt}****** IMPORTANT ******\n\n${block('USER NKEY SEED', seed)}`);
  const fields = loginFields({ creds: whole }, 'nonce') as { jwt: string; sig: string; nkey?: string };
  t.equal(fields.jwt, 'aa.bb-_.cc');
  t.equal(fields.nkey, undefined);
  t.ok(pair.verify(Buffer.from('nonce'), Buffer.from(fields.sig, 'base64url')));
  const windows = folder.write('c.creds', `${jwt}${block('USER NKEY SEED', seed)}`.replaceAll('\n', '\r\n'));
  t.equal((loginFields({ creds: windows }, 'nonce') as typeof fields).jwt, 'aa.bb-_.cc');
  const alone = loginFields({ creds: folder.write('b.creds', `${seed}\n`) }, 'nonce') as typeof fields;
  t.equal(alone.nkey, pair.getPublicKey());
  t.throws(() => loginFields({ creds: whole }, ''), /the server does not use keys/);
  const errors: [string, RegExp][] = [
    [folder.write('d', 'nothing'), /^creds: .*d: the section USER NKEY SEED is missing$/],
    [folder.write('e', jwt), /^creds: .*e: the section USER NKEY SEED is missing$/],
    [
      folder.write('f', `${block('NATS USER JWT', 'x')}${block('USER NKEY SEED', seed)}`),
      /f: .*does not contain a JWT$/,
    ],
    [folder.path('missing'), /^creds: .*missing: no such file or directory$/],
  ];
  for (const [file, why] of errors)
    t.throws(() => loginFields({ creds: file }, 'n'), { code: 'MPROXY_FILE', message: why });
  t.strictSame(loginFields({ user: 'u' }, ''), { user: 'u', pass: '' });
  t.strictSame(loginFields({ token: 't' }, 'n'), { auth_token: 't' });
  t.strictSame(loginFields({}, 'n'), {});
  t.end();
});
