import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { missing, noIptables } from '../lan/tools.js';
import { start, startProgram } from '../support/command.js';
import { type Host, lan } from '../support/namespace.js';
import { until } from '../support/wait.js';

const GROUP = '239.7.7.7:9922,interface=eth0';
const SENDER = '10.77.0.1';
const PORT = '9944';
const SEPARATOR = '|';
const MOST_PRINTED = 64 * 1024 * 1024;
const FIELDS = [
  'ip.src',
  'ip.dst',
  'moldudp64.sequence',
  'moldudp64.count',
  'moldudp64.msgseq',
  'moldudp64.msgdata',
];

/** Lines of many lengths, some longer than a packet. */
const content = Array.from(
  { length: 4000 },
  (_, i) => `${i} ${'x'.repeat(i % 500 === 0 ? 4000 : i % 200)}\n`,
).join('');

t.test(
  'tshark dissects every packet of a session, none malformed',
  { skip: noIptables || missing('tshark') },
  async (t) => {
    const { hosts } = lan(t, 3);
    const [sender, ...receivers] = hosts as [Host, ...Host[]];
    for (const host of receivers)
      for (const chain of ['INPUT', 'OUTPUT'])
        host.run(
          'iptables',
          '-w',
          '-A',
          chain,
          '-p',
          'udp',
          '-m',
          'statistic',
          '--mode',
          'random',
          '--probability',
          '0.1',
          '-j',
          'DROP',
        );
    // The packets of 20 bytes with 28 of headers: heartbeats, until the end of the session.
    sender.run(
      'iptables',
      '-w',
      '-A',
      'OUTPUT',
      '-p',
      'udp',
      '-d',
      '239.7.7.7',
      '-m',
      'length',
      '--length',
      '48',
    );
    const servers = receivers.map((host) => {
      const args = ['--listen-addr', GROUP, '--frame', 'mold', '--path', '-', '--once', '--from-start'];
      return start(t, 'server', args, { namespace: host.name });
    });
    for (const server of servers) await server.says('listening: group');
    const capture = await startCapture(t, sender);
    const address = `${GROUP},bind=${SENDER}:${PORT}`;
    const flags = ['--path', '-', '--server-addr', address, '--frame', 'mold', '--rate', '20Mbps'];
    const client = start(t, 'client', flags, { namespace: sender.name });
    client.child.stdin!.write(content);
    await until('a heartbeat', () => headersAlone(sender) > 0);
    client.child.stdin!.end();
    t.equal(await client.exited, 0, client.stderr);
    for (const server of servers) {
      t.equal(await server.exited, 0, server.stderr);
      t.equal(server.stdout.toString(), content, 'all arrived');
    }
    const file = await capture.end();

    const all = dissect(file, 'udp', ['frame.protocols']).map(([protocols]) => protocols!);
    t.strictSame(
      [...new Set(all)],
      ['eth:ethertype:ip:udp:moldudp64'],
      `${all.length} packets, all MoldUDP64`,
    );
    // A request has a remark, how many messages it asks for: a comment, less than a chat, a note, a warning, an error.
    const wrong = '_ws.malformed || (_ws.expert && !(_ws.expert.severity == "Comment"))';
    t.strictSame(dissect(file, wrong, FIELDS), [], 'nothing is wrong with any');

    const packets = dissect(file, 'moldudp64', FIELDS);
    t.equal(packets.length, all.length);
    const kinds = new Map<string, number>();
    const messages = new Map<number, string>();
    for (const [, to, , count, numbers, data] of packets) {
      const what = { 0: 'heartbeat', 65535: 'end' }[Number(count)] ?? 'messages';
      const kind = to === SENDER ? 'request' : to === '239.7.7.7' ? what : `answer: ${what}`;
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      if (kind === 'request' && numbers) t.fail('a request has no messages');
      const texts = data ? data.split(',') : [];
      for (const [i, number] of (numbers ? numbers.split(',') : []).entries())
        messages.set(Number(number), texts[i]!);
    }
    t.comment(JSON.stringify([...kinds]));
    t.strictSame([...kinds.keys()].toSorted(), [
      'answer: messages',
      'end',
      'heartbeat',
      'messages',
      'request',
    ]);
    const text = [...messages.keys()].toSorted((a, b) => a - b).map((number) => messages.get(number));
    t.equal(
      Buffer.from(text.join(''), 'hex').toString(),
      content,
      'as tshark reads them, the messages are the lines',
    );
  },
);

/** How many packets without messages the sender has sent to the group. */
function headersAlone(sender: Host): number {
  return Number(/^ *(\d+) .*length 48/m.exec(sender.run('iptables', '-w', '-nvxL', 'OUTPUT'))![1]);
}

async function startCapture(t: Test, host: Host) {
  const file = join(tmpdir(), `${host.name}.pcapng`);
  t.teardown(() => rmSync(file, { force: true }));
  const args = ['-q', '-i', 'eth0', '-f', 'udp', '-w', file];
  const tshark = startProgram(t, 'tshark', args, { namespace: host.name });
  await tshark.says('Capture started');
  return {
    async end(): Promise<string> {
      await tshark.stop('SIGINT');
      return file;
    },
  };
}

/** Fields of the packets that a filter lets through. */
function dissect(file: string, filter: string, fields: string[]): string[][] {
  const as = ['-d', `udp.port==${PORT},moldudp64`, '-T', 'fields', '-E', `separator=${SEPARATOR}`];
  const args = ['-r', file, ...as, '-Y', filter, ...fields.flatMap((field) => ['-e', field])];
  const printed = execFileSync('tshark', args, { encoding: 'utf8', maxBuffer: MOST_PRINTED, stdio: 'pipe' });
  return printed
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(SEPARATOR));
}
