import type { Client } from 'mproxy-flow/endpoints/nats/client';
import { JetAcks } from 'mproxy-flow/endpoints/nats/jet-acks';
import t from 'tap';

/** Acknowledgements by a connection that can be away, and what was published there. */
function scene() {
  const published: string[] = [];
  const connection = {
    connection: {
      write: (chunks: Buffer[]) =>
        published.push(
          ...String(Buffer.concat(chunks))
            .trim()
            .split(/(?<=\+...)\r\n/),
        ),
    },
  };
  const client: { connection: unknown } = { connection };
  const acks = new JetAcks(client as unknown as Client);
  const away = (isAway: boolean) => {
    client.connection = isAway ? undefined : connection;
  };
  return { acks, published, away };
}

const ack = (reply: string) => `PUB ${reply} 4\r\n+ACK`;

t.test('what is sent again while it is held is held once, and acknowledged once', async (t) => {
  const { acks, published } = scene();
  let store: () => void = () => undefined;
  const stored = new Promise<void>((resolve) => {
    store = resolve;
  });
  for (let i = 0; i < 1000; i++) acks.add(7, `first.${i}`);
  acks.taken(stored);
  for (let i = 0; i < 1000; i++) acks.add(7, `again.${i}`);
  acks.taken(stored);
  t.strictSame(published, []);
  store();
  await acks.done();
  t.strictSame(published, [ack('first.0')]);
  acks.add(7, 'lost');
  acks.taken(undefined);
  t.strictSame(
    published.slice(1),
    [ack('lost')],
    'sent again after its acknowledgement, it is acknowledged again',
  );
});

t.test('what is stored without a connection is acknowledged on the next', async (t) => {
  const { acks, published, away } = scene();
  away(true);
  acks.add(1, 'a');
  acks.taken(undefined);
  acks.send();
  t.strictSame(published, []);
  away(false);
  acks.send();
  t.strictSame(published, [ack('a')]);
});

t.test('what is held of a stream that was replaced is not acknowledged', async (t) => {
  const { acks, published } = scene();
  acks.add(1, 'old');
  const stored = Promise.resolve();
  acks.taken(stored);
  acks.clear();
  acks.add(1, 'new');
  await stored;
  t.strictSame(published, []);
  acks.taken(undefined);
  t.strictSame(published, [ack('new')]);
});

t.test('what is held is in progress', (t) => {
  const { acks, published } = scene();
  acks.add(1, 'a');
  acks.renew(0);
  t.strictSame(published, ['PUB a 4\r\n+WPI']);
  acks.renew(60_000);
  t.equal(published.length, 1, 'not more often than needed');
  t.end();
});
