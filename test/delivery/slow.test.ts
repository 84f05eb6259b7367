import { countOf, HEARTBEAT, sequenceOf } from 'mproxy-mold';
import t from 'tap';
import { udpSink } from '../support/net.js';
import { until } from '../support/wait.js';
import { Feed } from './feed.js';

t.test(
  'between packets that --rate has far apart there are heartbeats, that run ahead of none',
  async (t) => {
    const sink = await udpSink(t);
    const feed = new Feed(t, `127.0.0.1:${sink.port}`, ['--payload', '100', '--rate', '0.1pps']);
    feed.send(20);
    const beats = () => sink.datagrams.filter((packet) => countOf(packet, 0) === HEARTBEAT);
    const packets = () => sink.datagrams.filter((packet) => countOf(packet, 0) !== HEARTBEAT);
    await until('two heartbeats', () => beats().length >= 2);
    t.equal(packets().length, 1, 'behind the first of two packets');
    const [first] = packets();
    const next = sequenceOf(first!, 0) + countOf(first!, 0);
    for (const beat of beats()) t.equal(sequenceOf(beat, 0), next);
  },
);
