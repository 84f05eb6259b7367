import { createSocket } from 'node:dgram';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startClient } from 'mproxy-client';
import { startServer } from 'mproxy-server';
import t, { type Test } from 'tap';
import { type Group, loopbackGroup } from '../support/group.js';
import { freeUdpPort } from '../support/net.js';
import { inOneOfSome, untrue } from '../support/tries.js';

const RECEIVERS = 100;
const PACKETS = 300;
const PAYLOAD = 1000;
const COUNT = 18;
/** A machine that is held up makes all of them ask once more than they need: one of so many runs tells. */
const RUNS = 3;
/** Neither a heartbeat nor the end of a session. */
const isData = (packet: Buffer) => ![0, 0xffff].includes(packet.readUInt16BE(COUNT));

/**
 * Sends a file to a hundred receivers in one group, all of which miss the same packets, and counts what they ask and
 * get. Fails unless everybody has the file.
 * @param misses whether the n-th packet is lost on the way, before it comes to the group
 */
async function repair(t: Test, misses: (n: number) => boolean, repairRate: string) {
  const begin = performance.now();
  const folder = t.testdir({});
  const [path, port] = [join(folder, 'in'), await freeUdpPort()];
  const content = Array.from({ length: PACKETS }, (_, i) => `${i} `.padEnd(PAYLOAD - 25, '.')).join('\n');
  writeFileSync(path, content);
  const group = await loopbackGroup();
  const lost = { packets: 0, ranges: 0 };
  const relayPort = await relay(t, group, (n) => {
    if (!misses(n)) return false;
    lost.packets++;
    if (!misses(n - 1)) lost.ranges++;
    return true;
  });
  const receivers = Array.from({ length: RECEIVERS }, (_, i) =>
    startServer({
      ...{ path: join(folder, `out${i}`), listenAddr: group.address, frame: 'mold', engine: 'node' },
      ...{ once: true, fromStart: true, requestAddr: `127.0.0.1:${port}`, rcvbuf: '1MiB' },
    }),
  );
  t.teardown(() => Promise.all(receivers.map((receiver) => receiver.stop())));
  await Promise.all(receivers.map(({ ready }) => ready));
  const sender = startClient({
    ...{ path, serverAddr: `127.0.0.1:${relayPort},bind=127.0.0.1:${port}`, frame: 'mold', engine: 'node' },
    ...{ rate: '2Mbps', payload: PAYLOAD, repairRate },
  });
  t.teardown(() => sender.stop());
  const ends = await Promise.all(receivers.map(({ done }) => done));
  const whole = receivers.filter((_, i) => readFileSync(join(folder, `out${i}`), 'latin1') === content);
  t.equal(whole.length, RECEIVERS, 'all have everything');
  const asked = ends.reduce((sum, { routes }) => sum + routes[0]!.source.mold!.asked, 0);
  const { requests, answers } = (await sender.done).routes[0]!.sinks[0]!.mold!;
  t.comment(
    `${lost.packets} packets in ${lost.ranges} ranges lost: ${asked} asked, ${requests} heard, ${answers} sent again`,
  );
  return { seconds: (performance.now() - begin) / 1000, asked, requests, answers, ...lost };
}

/** Passes what it gets on to the group, but for the data that is lost. @returns its port */
async function relay(t: Test, { ip, port }: Group, isLost: (n: number) => boolean): Promise<number> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
  let data = 0;
  socket.on('message', (packet) => {
    if (!isData(packet) || !isLost(data++)) socket.send(packet, port, ip);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  socket.setMulticastInterface('127.0.0.1');
  t.teardown(() => socket.close());
  return socket.address().port;
}

for (const [what, misses] of [
  ['single packets', (n: number) => n % 15 === 7],
  ['a range of 20', (n: number) => n >= 100 && n < 120],
] as const) {
  t.test(
    `a hundred that miss the same ${what} ask at most twice for each on average, and get it so`,
    async (t) => {
      const attempt = async () => {
        const { asked, requests, answers, packets, ranges } = await repair(t, misses, '100Mbps');
        t.equal(packets, 20, 'so many were lost');
        t.ok(asked >= RECEIVERS * ranges, `${asked} asked`);
        t.ok(requests <= asked, `${requests} came`);
        t.ok(answers >= RECEIVERS * packets, `${answers} sent again`);
        return untrue({
          [`${asked} asked`]: asked <= 2 * RECEIVERS * ranges,
          [`${answers} sent again`]: answers <= 2 * RECEIVERS * packets,
        });
      };
      await inOneOfSome(t, attempt, RUNS);
    },
  );
}

t.test(
  'so it is with answers where they take their time by --repair-rate, and six times with requests',
  async (t) => {
    const attempt = async () => {
      const { seconds, asked, answers, packets, ranges } = await repair(
        t,
        (n) => n >= 100 && n < 120,
        '8Mbps',
      );
      const least = (RECEIVERS * packets * PAYLOAD * 8) / 8e6;
      t.ok(seconds > least, `it takes ${least} s at least`);
      return untrue({
        [`${asked} asked`]: asked <= 6 * RECEIVERS * ranges,
        [`${answers} sent again`]: answers <= 2 * RECEIVERS * packets,
      });
    };
    await inOneOfSome(t, attempt, RUNS);
  },
);
