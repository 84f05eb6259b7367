import { setTimeout as wait } from 'node:timers/promises';
import type { CDPSession } from 'playwright-core';
import t from 'tap';
import { peakMemory } from '../support/memory.js';
import { sendSteadily, tcpServer } from '../support/net.js';
import { until } from '../support/wait.js';
import { noChromium, open } from './browser.js';
import { startShown } from './http.js';

const MINUTES = 10;
const MINUTE_MS = 60_000;
const LOOK_MS = 2000;
/**
 * Limits on growth from the second minute on, in bytes and nodes. The list of events is full then. A sparkline is not: each of
 * the two routes of both programs may get a mark in each of its 180 steps, where a busy machine loses something.
 */
const MAX_HEAP = 0.5e6;
const MAX_NODES = 800;
const MAX_MEMORY = 10e6;

/** What a page holds (Chrome DevTools Protocol): the least of some looks, as what it drew last may be garbage by now. */
async function held(session: CDPSession): Promise<{ heap: number; nodes: number }> {
  const least = { heap: Number.POSITIVE_INFINITY, nodes: Number.POSITIVE_INFINITY };
  for (let i = 0; i < 5; i++) {
    await session.send('HeapProfiler.collectGarbage');
    const { usedSize } = await session.send('Runtime.getHeapUsage');
    const { nodes } = await session.send('Memory.getDOMCounters');
    least.heap = Math.min(least.heap, usedSize);
    least.nodes = Math.min(least.nodes, nodes);
  }
  return least;
}

t.test(
  'a page that is open for ten minutes stays live, and neither end grows',
  { skip: noChromium },
  async (t) => {
    const end = await startShown(t, 'server', ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0']);
    const upstream = await tcpServer(t, (socket) => socket.end('line\n'));
    const { program, url } = await startShown(t, 'forward', [
      ...['--udp-listen-addr', '127.0.0.1:0', '--tcp-connect-addr', `127.0.0.1:${upstream.port}`],
      ...['--udp-downstream-addr', `127.0.0.1:${await end.program.port()}`, '--status-peer', end.url],
    ]);
    sendSteadily(t, await program.port());
    const page = await open(t, url);
    const session = await page.context().newCDPSession(page);
    const shown = () => page.locator('article').first().innerText();
    const lost = page.getByText('No contact with the program', { exact: false });
    const begun = performance.now();
    let first = { heap: 0, nodes: 0, memory: 0 };
    for (let minute = 1; minute <= MINUTES; minute++) {
      const before = await shown();
      while (performance.now() - begun < minute * MINUTE_MS) {
        await wait(LOOK_MS);
        if ((await lost.count()) > 0 && (await lost.isVisible())) t.fail(`no contact in minute ${minute}`);
      }
      await until(`it shows more in minute ${minute}`, async () => (await shown()) !== before);
      const now = { ...(await held(session)), memory: peakMemory(program.child.pid!) };
      t.comment(`minute ${minute}: ${JSON.stringify(now)}`);
      if (minute === 2) first = now;
      if (minute < MINUTES) continue;
      t.ok(now.heap - first.heap < MAX_HEAP, `heap of the page: ${now.heap - first.heap} bytes more`);
      t.ok(now.nodes - first.nodes < MAX_NODES, `${now.nodes - first.nodes} nodes more`);
      t.ok(now.memory - first.memory < MAX_MEMORY, `memory: ${now.memory - first.memory} bytes more`);
    }
    t.equal(await program.stop(), 0);
  },
);
