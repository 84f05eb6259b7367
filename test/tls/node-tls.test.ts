import { createRequire } from 'node:module';
import { connect } from 'node:tls';
import t from 'tap';
import { ENGINES } from '../net/engines.js';
import { Authority, pairFlags } from '../support/certificates.js';
import { start } from '../support/command.js';
import { groupSend, loopbackGroup } from '../support/group.js';
import { TcpClient } from '../support/net.js';

const skip = !ENGINES.some(({ name }) => name === 'linux') && 'it takes another socket';

/** Loaded before a program: the symbols of this process lack those of OpenSSL, as in a Node that was built so. */
const WITHOUT_OPENSSL = `
  const koffi = require(${JSON.stringify(createRequire(import.meta.url).resolve('koffi'))});
  const { load } = koffi;
  koffi.load = (path) => {
    const library = load(path);
    const func = (prototype) => {
      if (/SSL/.test(prototype)) throw new Error('no SSL');
      return library.func(prototype);
    };
    return { func };
  };
`;

t.test(
  'a Node without the symbols of OpenSSL: its own TLS serves, and --stats tells',
  { skip },
  async (t) => {
    const folder = t.testdir({ 'without.cjs': WITHOUT_OPENSSL });
    const authority = await Authority.make(t);
    const pair = await authority.sign({ dns: ['feed.test'] });
    const group = await loopbackGroup();
    const args = [
      '--multicast-addr',
      group.address,
      '--tcp-output-addr',
      'tls://127.0.0.1:0',
      '--stats',
      '1',
    ];
    const node = ['--require', `${folder}/without.cjs`];
    const reverse = start(t, 'reverse', [...args, ...pairFlags(pair)], { node });
    const port = await reverse.port();
    await reverse.says(
      "streams: TCP or TLS of Node, not the engine's own: this Node does not export OpenSSL 3",
    );
    const socket = connect({ port, host: '127.0.0.1', ca: authority.pem, servername: 'feed.test' });
    t.teardown(() => socket.destroy());
    const client = new TcpClient(socket);
    await reverse.says('client: ');
    await groupSend(group, ['one\n']);
    t.equal(String(await client.has(4)), 'one\n');
    t.equal(await reverse.stop(), 0, reverse.stderr);
  },
);
