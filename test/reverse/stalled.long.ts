import { once } from 'node:events';
import { connect } from 'node:net';
import t from 'tap';
import { start } from '../support/command.js';
import { loopbackGroup } from '../support/group.js';
import { peakMemory } from '../support/memory.js';

const CLIENTS = 100;
/** A datagram now and then, each a burst of its own: enough of them to fill 8 MiB, the default of --client-buffer. */
const DATAGRAM = '!AIVDM,1,1,,A,13u?etPv2;0n:dDPwUM1U1Cb069D,0*24\r\n';
const RATE = 500;
const COUNT = Math.ceil((8.5 * 1024 * 1024) / DATAGRAM.length);
/** The program itself takes less than 100 MB. */
const MOST = 130e6;

t.setTimeout(600_000);

const skip = process.platform !== 'linux' && 'the memory of a process is read from /proc';

t.test(
  'a hundred clients that take nothing of small datagrams hold one client buffer',
  { skip },
  async (t) => {
    const group = await loopbackGroup();
    const reverse = start(t, 'reverse', [
      ...['--multicast-addr', group.address, '--tcp-output-addr', '127.0.0.1:0', '--stats', '1'],
    ]);
    const port = await reverse.port();
    for (let i = 0; i < CLIENTS; i++) {
      const socket = connect(port, '127.0.0.1');
      t.teardown(() => socket.destroy());
      await once(socket, 'connect');
      socket.pause();
    }
    await reverse.says(`${CLIENTS} clients now`);
    const to = ['--server-addr', group.address, '--frame', 'line', '--rate', `${RATE}pps`];
    const client = start(t, 'client', ['--path', '-', ...to]);
    client.child.stdin!.end(DATAGRAM.repeat(COUNT));
    t.equal(await client.exited, 0, client.stderr);
    const peak = peakMemory(reverse.child.pid!);
    t.comment(`peak memory ${peak}`);
    t.ok(peak < MOST, `peak memory ${peak}`);
    t.equal(await reverse.stop(), 0);
  },
);
