import t from 'tap';
import { start } from '../support/command.js';
import { hostile, logIn } from './hostile.js';

t.test(
  'a server that is silent after the login: two PINGs without an answer end the connection',
  async (t) => {
    let pings = 0;
    const { url } = await hostile(t, (socket) =>
      logIn(socket, () => {
        socket.on('data', (bytes) => {
          pings += String(bytes).split('PING').length - 1;
        });
      }),
    );
    const ours = start(t, 'server', ['--path', '-', '--listen-addr', url]);
    await ours.says('the server does not answer PING; trying again', 60_000);
    t.ok(pings >= 2, `${pings} PINGs`);
    t.equal(await ours.stop(), 0);
  },
);
