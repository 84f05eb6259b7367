import type { Connection } from 'mproxy-net';
import { Context, clientLimit, clientOf, Pending } from 'mproxy-service';
import t from 'tap';
import { MemoryConnection } from './memory-connection.js';

/** Calls the limited service for a client, whose connection ends when a test says so. */
function limited(most: number) {
  const refused: unknown[] = [];
  const open: Pending<void>[] = [];
  const service = clientLimit(most, ({ peer }) => refused.push(peer?.address))({
    call() {
      open.push(new Pending());
      return open.at(-1)!;
    },
  });
  const connect = (address: string | undefined) => {
    const connection = new MemoryConnection();
    const peer = address === undefined ? undefined : { address, port: 1 };
    const context = new Context({ peer, local: undefined, tls: undefined, listener: 'test' });
    const result = service.call(connection as Connection, context) as Pending<void> | undefined;
    return { isRefused: connection.ends.length > 0, end: open.at(-1)!, result };
  };
  return { connect, refused };
}

t.test('what counts as one client', (t) => {
  t.equal(clientOf('192.0.2.1'), '192.0.2.1');
  t.not(clientOf('192.0.2.1'), clientOf('192.0.2.2'));
  t.equal(clientOf('2001:db8:1:2::1'), clientOf('2001:db8:1:2:ffff:ffff:ffff:ffff'));
  t.not(clientOf('2001:db8:1:2::1'), clientOf('2001:db8:1:3::1'));
  t.equal(clientOf('fe80::1%eth0'), clientOf('fe80::2%eth0'));
  t.end();
});

t.test('connections beyond the limit are closed, until others have ended', async (t) => {
  const { connect, refused } = limited(2);
  const first = connect('2001:db8::1');
  const second = connect('2001:db8::2');
  t.notOk(first.isRefused || second.isRefused);
  t.ok(connect('2001:db8::3').isRefused);
  t.notOk(connect('192.0.2.1').isRefused);
  for (let i = 0; i < 5; i++) t.notOk(connect(undefined).isRefused, 'a Unix socket');
  first.end.resolve();
  await first.result;
  t.notOk(connect('2001:db8::4').isRefused);
  t.ok(connect('2001:db8::5').isRefused);
  second.end.reject(new Error('failed'));
  await t.rejects(Promise.resolve(second.result), { message: 'failed' });
  t.notOk(connect('2001:db8::6').isRefused);
  t.strictSame(refused, ['2001:db8::3', '2001:db8::5']);
  t.end();
});

t.test('a service that throws has ended', (t) => {
  let calls = 0;
  const service = clientLimit(1)({
    call() {
      calls++;
      throw new Error('failed');
    },
  });
  const peer = { address: '192.0.2.1', port: 1 };
  const context = new Context({ peer, local: undefined, tls: undefined, listener: 'test' });
  for (let i = 0; i < 3; i++)
    (service.call(new MemoryConnection(), context) as Pending<void>).wait(
      () => t.fail('it failed'),
      (error) => t.match(error, { message: 'failed' }),
    );
  t.equal(calls, 3);
  t.end();
});
