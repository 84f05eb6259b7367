import { readFileSync } from 'node:fs';
import t from 'tap';
import { start } from '../support/command.js';
import { lossyRelay, type Trouble } from '../support/lossy.js';
import { until } from '../support/wait.js';
import { makeInput } from './input.js';
import { noPython, startPeer } from './peer.js';

/** What happens on the way, to data, requests and answers alike. */
const TROUBLE: Trouble = { lose: 0.1, duplicate: 0.05, reorder: 0.05, delay: 0.05 };
const LINES = 20_000;

for (const engine of ['linux', 'node']) {
  const options = { skip: process.platform !== 'linux' && engine === 'linux' ? 'needs Linux' : noPython };

  t.test(`a foreign receiver gets all that a client on ${engine} sends`, options, async (t) => {
    const { data, from, to } = makeInput(t, LINES);
    const receiver = await startPeer(t, 'receive', ['--listen', '127.0.0.1:0', '--file', to, '--from-start']);
    const place = { address: '127.0.0.1', port: receiver.port };
    const relay = await lossyRelay(t, { to: place, ...TROUBLE });
    t.comment(`SEED=${relay.seed}`);
    const client = start(t, 'client', [
      ...['--path', from, '--server-addr', `127.0.0.1:${relay.port}`, '--frame', 'mold'],
      ...['--payload', '1400', '--engine', engine, '--session', 'ours', '--linger', '1m'],
    ]);
    const { status, counts } = await receiver.end();
    t.equal(status, 0, receiver.running.stderr);
    t.ok(readFileSync(to).equals(data), 'byte for byte');
    t.match(counts, { session: 'ours', begin: 1, bytes: data.length, contradictions: 0 });
    t.notOk(counts.malformed, 'every packet is one of the protocol');
    t.ok(relay.counts.on.lost > 50 && relay.counts.back.lost > 0, JSON.stringify(relay.counts));
    t.ok(counts.duplicates! < counts.messages!, 'what is asked for comes again, and not much more');
    t.equal(await client.stop(), 0, client.stderr);
    const [, messages] = /session ours: ([\d,]+) messages sent/.exec(client.stderr) ?? [];
    t.equal(Number(messages?.replaceAll(',', '')), counts.messages);
  });

  t.test(`a server on ${engine} gets all that a foreign sender sends`, options, async (t) => {
    const { data, from, to } = makeInput(t, LINES);
    const server = start(t, 'server', [
      ...['--path', to, '--listen-addr', '127.0.0.1:0', '--frame', 'mold', '--engine', engine],
      ...['--once', '--from-start'],
    ]);
    const place = { address: '127.0.0.1', port: await server.port() };
    const relay = await lossyRelay(t, { to: place, ...TROUBLE });
    t.comment(`SEED=${relay.seed}`);
    const sender = await startPeer(t, 'send', [
      ...['--to', `127.0.0.1:${relay.port}`, '--file', from, '--session', 'theirs'],
    ]);
    await until('the server ended', () => !server.running, 30_000);
    t.equal(await server.exited, 0, server.stderr);
    t.ok(readFileSync(to).equals(data), 'byte for byte');
    t.match(server.stderr, /session theirs of .* 0 lost/);
    t.ok(relay.counts.on.lost > 50 && relay.counts.back.lost > 0, JSON.stringify(relay.counts));
    const { status, counts } = await sender.end();
    t.equal(status, 0, sender.running.stderr);
    t.ok(counts.answers! > 50, JSON.stringify(counts));
    t.notOk(counts.refused, 'every request is one of the protocol');
  });
}
