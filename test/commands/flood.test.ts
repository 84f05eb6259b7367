import t, { type Test } from 'tap';
import { type Name, type Running, start } from '../support/command.js';
import { loopbackGroup } from '../support/group.js';
import { tcpClient, udpSink } from '../support/net.js';

/** A stop is to be over by then (SPEC 9). */
const SOON_MS = 1000;
const STOPS = 3;
/** What else the machine does makes a stop slower, never faster: most must be over by then, and each by this time. */
const LATE_MS = 2000;

/** Sends without a pace to whoever listens there. */
function flood(t: Test, to: string, payload: string): Running {
  const args = ['--path', '/dev/zero', '--frame', 'raw', '--payload', payload, '--server-addr', to];
  return start(t, 'client', [...args, '--engine', 'auto']);
}

/** @param begin starts a program, and what floods it */
async function stopsSoon(t: Test, what: string, begin: () => Promise<[Running, Running]>): Promise<void> {
  const times: number[] = [];
  for (let stop = 0; stop < STOPS; stop++) {
    const [running, sender] = await begin();
    await running.says(/stats: [^\n]*? \d{1,3},[\d,]+ datagrams/, 20_000);
    const asked = performance.now();
    t.equal(await running.stop(), 0, what);
    times.push(Math.round(performance.now() - asked));
    t.notMatch(running.stderr, /\n {4}at /);
    await sender.kill();
  }
  const [, median = 0, longest = 0] = [...times].sort((a, b) => a - b);
  t.ok(median < SOON_MS && longest < LATE_MS, `${what}: ${times.join(', ')} ms`);
}

for (const engine of ['linux', 'node']) {
  const skip = engine === 'linux' && process.platform !== 'linux' && 'that engine is for Linux';
  for (const payload of ['100', '1400']) {
    t.test(`${engine}: a signal ends a flood of ${payload} bytes within a second`, { skip }, async (t) => {
      const run = (name: Name, args: string[]) =>
        start(t, name, [...args, '--engine', engine, '--stats', '0.1']);
      await stopsSoon(t, 'server', async () => {
        const server = run('server', ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0']);
        return [server, flood(t, `127.0.0.1:${await server.port()}`, payload)];
      });
    });
  }

  t.test(`${engine}: a signal ends a relay that is flooded within a second`, { skip }, async (t) => {
    const sink = await udpSink(t);
    sink.socket.removeAllListeners('message');
    // One after another: what comes in is more than the relay can pass on.
    const to = Array.from({ length: 8 }, () => ['--udp-downstream-addr', `127.0.0.1:${sink.port}`]).flat();
    const listen = ['--udp-listen-addr', '127.0.0.1:0', ...to];
    await stopsSoon(t, 'forward', async () => {
      const forward = start(t, 'forward', [...listen, '--engine', engine, '--stats', '0.1']);
      return [forward, flood(t, `127.0.0.1:${await forward.port()}`, '100')];
    });
  });

  t.test(`${engine}: a signal ends both halves of a flooded reverse within a second`, { skip }, async (t) => {
    const group = await loopbackGroup();
    await stopsSoon(t, 'reverse', async () => {
      const reverse = start(t, 'reverse', [
        ...['--udp-listen-addr', '127.0.0.1:0', '--multicast-addr', group.address],
        ...['--tcp-output-addr', '127.0.0.1:0', '--engine', engine, '--stats', '0.1'],
      ]);
      const client = await tcpClient(t, await reverse.port(0));
      client.socket.removeAllListeners('data').resume();
      return [reverse, flood(t, `127.0.0.1:${await reverse.port(2)}`, '1400')];
    });
  });
}
