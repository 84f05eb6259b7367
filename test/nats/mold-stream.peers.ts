import { readFileSync, statSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { start } from '../support/command.js';
import { until } from '../support/wait.js';
import { Folder } from './folder.js';
import { jetServer, streamOf } from './jet.js';
import { noServer } from './server.js';

const BYTES = 30e6;

t.test(
  'frame=mold over two streams: the hop between and the server are killed with -9, and every line arrives once, in order',
  { skip: noServer },
  async (t) => {
    const server = await jetServer(t);
    const { peer, manager } = await streamOf(t, server, 'UP', ['up']);
    await manager.streams.add({ name: 'DOWN', subjects: ['down'] });
    await peer.close();
    const folder = new Folder(t);
    const [input, output] = [folder.path('in'), folder.path('out')];
    let text = '';
    for (let i = 0; text.length < BYTES; i++) text += `${i} ${'.'.repeat(i % 300)}\n`;
    writeFileSync(input, text);
    const up = `${server.url('up')},stream=UP`;
    const down = `${server.url('down')},stream=DOWN`;
    const last = start(t, 'server', [
      ...['--path', output, '--listen-addr', `${down},frame=mold`, '--once', '--from-start'],
      ...['--repair-timeout', '1m'],
    ]);
    // Packets pass the hop unchanged.
    const hop = () =>
      start(t, 'forward', [
        ...['--udp-listen-addr', `${up},durable=HOP`, '--udp-downstream-addr', down, '--from-start'],
      ]);
    let middle = hop();
    await middle.says('connected to');
    const first = start(t, 'client', [
      ...['--path', input, '--server-addr', `${up},frame=mold`, '--rate', '40Mbps', '--linger', '60s'],
    ]);
    for (let kill = 1; kill <= 4; kill++) {
      await until('more has arrived', () => statSync(output).size > (kill * BYTES) / 6, 60_000);
      if (kill % 2 === 0) {
        await server.kill();
        await server.restart();
      } else {
        await middle.kill();
        middle = hop();
      }
    }
    t.equal(await first.exited, 0, first.stderr);
    t.equal(await last.exited, 0, last.stderr);
    t.ok(readFileSync(output, 'latin1') === text, 'the same bytes');
    t.match(last.stderr, / 0 lost\n/);
    t.notMatch(first.stderr + middle.stderr, /lost/);
    t.comment(last.stderr, middle.stderr);
  },
);
