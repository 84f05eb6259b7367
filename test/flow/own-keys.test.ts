import { keyGroups } from 'mproxy-command';
import { addresses, keysOf } from 'mproxy-flow';
import { ownKeysOf } from 'mproxy-flow/addresses';
import { moldOver } from 'mproxy-flow/endpoints/mold/type';
import { DATAGRAMS } from 'mproxy-flow/endpoints/types';
import t from 'tap';
import { manPage } from '../../manual/man.js';
import { bus } from '../support/bus.js';

const accept = [...DATAGRAMS, moldOver(bus), bus];
const from = addresses({ accept, roles: ['source'], help: 'from' });
const to = addresses({ accept, roles: ['sink'], help: 'to' });
const read = (flag: typeof from, text: string, before = {}) => flag.read(text, '--addr', before)[0]!;
const usage = (message: RegExp) => ({ code: 'MPROXY_USAGE', message });

t.test('an address has the keys of its type, in its role, beside those of all', (t) => {
  const { type, address } = read(from, 'bus://news,queue=a,frame=mold');
  t.strictSame(address.keys, { queue: 'a', frame: 'mold' });
  t.strictSame([...address.own], ['queue', 'frame']);
  t.equal(type.name, 'mold over bus');
  t.equal(read(from, 'bus://news').type, bus);
  t.equal(read(from, 'bus://news', { frame: 'mold' }).type.name, 'mold over bus', 'a key given as a flag');
  t.strictSame(read(from, 'bus://news', { interface: 'lo', frame: 'raw' }).address.keys, {}, 'not its keys');
  t.end();
});

t.test('a key of another type, of another role, or a bad one is an error', (t) => {
  t.throws(
    () => read(from, '127.0.0.1:9,queue=a'),
    usage(/unknown key "queue"; known here: frame, interface/),
  );
  t.throws(() => read(to, 'bus://news,queue=a'), usage(/unknown key "queue"; known here: frame$/));
  t.throws(() => read(from, 'bus://news,ttl=1'), usage(/unknown key "ttl"; known here: frame, queue$/));
  t.throws(() => read(from, 'bus://news,queue'), usage(/--addr: bus:\/\/news,queue: queue: .*needs a value/));
  t.throws(() => read(from, 'bus://news,queue=a,queue=b'), usage(/given twice/));
  t.throws(() => read(from, 'bus://news,frame=raw'), usage(/datagrams pass as they are/));
  t.throws(() => read(from, 'bus://,queue=a'), usage(/no topic/));
  t.end();
});

t.test('keys of a type are no flags, and the help and the man page list them', (t) => {
  const flags = { Ends: { from, to } };
  t.notOk(keysOf(flags).includes('queue' as 'frame'));
  t.strictSame(
    ownKeysOf(flags)
      .filter(([syntax]) => syntax === 'bus://TOPIC')
      .map(([, keys]) => Object.keys(keys)),
    [['queue']],
  );
  const about = { name: 'mproxy-test', summary: 'Test.', flags, examples: [] };
  const help = 'share the messages with others of this name';
  t.strictSame(Object.fromEntries(keyGroups(about))['Keys of bus://TOPIC'], [['queue=NAME', help]]);
  t.match(manPage(about, [], '2026-01-01'), /\.SS Keys of bus:\/\/TOPIC\n\.TP\n\.B queue=NAME\nshare the/);
  t.end();
});
