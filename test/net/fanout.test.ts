import { type Connection, type ConnectionHandler, Fanout } from 'mproxy-net';
import { ClientCounts } from 'mproxy-net/fanout/client-counts';
import t from 'tap';

/** A fan-out with one client, whose connection is played by the test. */
function oneClient() {
  const calls: string[] = [];
  const timers: (() => void)[] = [];
  const settings = { frame: 'raw' as const, buffer: 1024, timeout: 0 };
  const events = { joined: () => undefined, left: () => undefined };
  const timer = (onDue: () => void) => {
    timers.push(onDue);
    return { set: () => undefined, clear: () => undefined };
  };
  const fanout = new Fanout(settings, new ClientCounts(), events, timer);
  let handler: ConnectionHandler | undefined;
  const connection = {
    writing: true,
    start(its: ConnectionHandler) {
      handler = its;
    },
    unacknowledged: () => 0,
    end: () => calls.push('end'),
    close: (error?: Error) => calls.push(error ? `close: ${error.message}` : 'close'),
  };
  fanout.add(1, connection as unknown as Connection);
  return { fanout, connection, calls, timers, handler: handler! };
}

t.test('at the close, a client is waited for whose connection took what it has not sent', async (t) => {
  const { fanout, connection, calls, handler } = oneClient();
  fanout.close(() => undefined);
  t.strictSame(calls, []);
  connection.writing = false;
  handler.onDrain!();
  t.strictSame(calls, ['end', 'close']);
});

t.test('for a second at most', async (t) => {
  const { fanout, calls, timers } = oneClient();
  fanout.close(() => undefined);
  for (const due of timers) due();
  t.strictSame(calls, ['close: had not taken everything 1 s after the stop: disconnected']);
});
