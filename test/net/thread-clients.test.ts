import { closeSync, fstatSync, openSync } from 'node:fs';
import { type ClientsOrder, ThreadClients } from 'mproxy-net/fanout/thread-clients';
import t from 'tap';

const SETTINGS = { frame: 'raw' as const, buffer: 1024, timeout: 0 };

/** Clients of a thread that is played by the test, and what was reported of them. */
function clients() {
  const reported: string[] = [];
  const orders: ClientsOrder[] = [];
  const clients = new ThreadClients(SETTINGS, {
    opened: () => undefined,
    joined: (client) => reported.push(`${client} joined`),
    left: (client, reason) => reported.push(`${client} left: ${reason}`),
    refused: (client, reason) => reported.push(`${client} refused: ${reason}`),
  });
  clients.serve((order) => orders.push(order));
  return { clients, reported, orders };
}

const descriptor = () => openSync('/dev/null', 'r');
const skip = process.platform === 'win32' && 'no threads take clients';

t.test(
  'a client that is refused is reported at once, and counts until its descriptor is closed',
  { skip },
  async (t) => {
    const { clients: given, reported } = clients();
    const fd = descriptor();
    given.add(1, fd);
    t.equal(given.size, 1);
    given.take({ what: 'refused', client: 1, reason: 'it does not speak TLS' });
    t.strictSame(reported, ['1 refused: it does not speak TLS']);
    t.equal(given.size, 1);
    closeSync(fd);
    given.take({ what: 'left', client: 1 });
    t.equal(given.size, 0);
    t.strictSame(reported, ['1 refused: it does not speak TLS'], 'once');
  },
);

t.test(
  'the descriptors of a thread that died are closed, those of refused clients with them',
  { skip },
  async (t) => {
    const { clients: given, reported } = clients();
    const descriptors = [descriptor(), descriptor(), descriptor()];
    for (const [i, fd] of descriptors.entries()) given.add(i, fd);
    given.take({ what: 'joined', client: 1 });
    given.take({ what: 'refused', client: 2, reason: 'why' });
    given.lost('gone');
    for (const fd of descriptors) t.throws(() => fstatSync(fd), { code: 'EBADF' });
    t.equal(given.size, 0);
    t.strictSame(reported, ['1 joined', '2 refused: why', '0 refused: gone', '1 left: gone']);
  },
);
