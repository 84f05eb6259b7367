import type { Connection } from 'mproxy-net';
import { type ClientLimitOptions, clientLimit, clientOf } from 'mproxy-service/client-limit';
import { Context } from 'mproxy-service/context';
import { Pending } from 'mproxy-service/result';
import t from 'tap';

/** A limited service that is done with a connection when the test says so. */
class Limited {
  readonly served: Pending<void>[] = [];
  closed = 0;
  refused = 0;
  readonly #layer;

  constructor(options: ClientLimitOptions) {
    this.#layer = clientLimit({ ...options, onRefused: () => this.refused++ });
  }

  /** A connection of a client. @returns whether it is served */
  connect(address: string | undefined, inner?: () => void): boolean {
    const peer = address === undefined ? undefined : { address, port: 1 };
    const context = new Context({ peer, local: undefined, tls: undefined, listener: 'test' });
    const before = this.served.length;
    const call = () => {
      inner?.();
      const done = new Pending<void>();
      this.served.push(done);
      return done;
    };
    const connection = { close: () => this.closed++ } as unknown as Connection;
    const result = this.#layer({ call }).call(connection, context);
    if (result instanceof Pending)
      result.wait(
        () => undefined,
        () => undefined,
      );
    return this.served.length > before;
  }
}

t.test('a client has so many connections, and again when some have ended', async (t) => {
  const limited = new Limited({ most: 2 });
  const connect = () => limited.connect('192.0.2.1');
  t.strictSame([connect(), connect(), connect()], [true, true, false]);
  t.match(limited, { closed: 1, refused: 1 });
  t.ok(limited.connect('192.0.2.2'), 'others are not concerned');
  limited.served[0]!.resolve();
  t.strictSame([connect(), connect()], [true, false]);
  limited.served[1]!.reject(new Error('failed'));
  t.strictSame([connect(), connect()], [true, false]);
});

t.test('a service that throws has ended', async (t) => {
  const limited = new Limited({ most: 1 });
  const fail = () => {
    throw new Error('no');
  };
  for (let i = 0; i < 3; i++) t.notOk(limited.connect('192.0.2.1', fail));
  t.equal(limited.refused, 0);
  t.ok(limited.connect('192.0.2.1'));
});

t.test('IPv6 clients are counted by their /64', async (t) => {
  const limited = new Limited({ most: 1 });
  t.ok(limited.connect('2001:db8:1:2::1'));
  t.notOk(limited.connect('2001:db8:1:2:ffff:ffff:ffff:ffff'));
  t.ok(limited.connect('2001:db8:1:3::1'));
  const same: [string, string][] = [
    ['2001:db8::1', '2001:db8:0:0'],
    ['2001:db8::', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['::2:3:4:5:6', '0:0:0:2'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4'],
    ['1:2:3::7:8', '1:2:3:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['192.0.2.1', '192.0.2.1'],
  ];
  for (const [address, client] of same) t.equal(clientOf(address), client, address);
});

t.test('peers of Unix sockets and exempt ones are not limited', async (t) => {
  const limited = new Limited({ most: 1, exempts: (address) => address === '192.0.2.9' });
  for (let i = 0; i < 3; i++) {
    t.ok(limited.connect(undefined));
    t.ok(limited.connect('192.0.2.9'));
  }
});
