import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { start } from '../support/command.js';
import { lossyRelay } from '../support/lossy.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';

/** Lines of all lengths, some longer than a packet; the last without a newline. */
function lines(random: Random, count: number): Buffer {
  const all = Array.from({ length: count }, () => 'x'.repeat(random.pick([0, 5, 40, 80, 300, 3000])));
  return Buffer.from(`${all.join('\n')}\nend`);
}

function files(t: Test, content: Buffer) {
  const folder = t.testdir({});
  const [input, output] = [join(folder, 'in'), join(folder, 'out')];
  writeFileSync(input, content);
  return { input, output };
}

for (const lose of [0, 0.05, 0.2]) {
  t.test(`a file arrives whole, in order and once over a way that loses ${lose * 100} %`, async (t) => {
    const random = new Random();
    t.comment(`SEED=${random.seed}`);
    const content = lines(random, 20_000);
    const { input, output } = files(t, content);
    const server = start(t, 'server', [
      ...['--listen-addr', '127.0.0.1:0', '--frame', 'mold', '--path', output, '--once', '--from-start'],
    ]);
    const to = { address: '127.0.0.1', port: await server.port() };
    const relay = await lossyRelay(t, { to, seed: random.seed, lose, reorder: 0.05, duplicate: 0.02 });
    const address = `${relay.address}:${relay.port}`;
    const client = start(t, 'client', [
      ...['--path', input, '--server-addr', address, '--frame', 'mold', '--rate', '50Mbps', '--linger', '1m'],
    ]);
    await until('the server ended', () => !server.running, 30_000);
    t.equal(await server.exited, 0, server.stderr);
    t.equal(await client.stop(), 0, client.stderr);
    t.ok(readFileSync(output).equals(content), 'the same bytes');
    if (lose > 0) t.ok(relay.counts.on.lost > 0, 'and some were lost on the way');
    t.match(server.stderr, /ended: .* 0 lost/);
  });
}
