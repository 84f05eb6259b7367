import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Running, start } from '../support/command.js';
import { type Host, lan, noNamespaces, plug } from '../support/namespace.js';
import { inOneOfSome, untrue } from '../support/tries.js';
import { until } from '../support/wait.js';

/** SPEC 2: an interface that comes back is used again within 5 s; at the latest when a test gives up. */
const PROMISE_MS = 5000;
const LONGEST_MS = 30_000;

const PLACES = [
  '239.7.7.7:PORT,interface=eth0',
  '[ff02::77]:PORT,interface=eth0',
  '[ff05::77]:PORT,interface=eth0',
  '10.77.0.2:PORT',
  '[fd77::2]:PORT',
  '[fe80::77:ff:fe00:2%eth0]:PORT',
];

/** Waits until a line that was sent after this call is out everywhere. */
async function flow(sent: () => number, outlets: OutputQueue[], when: string): Promise<void> {
  const from = sent();
  const stuck = () => outlets.filter(({ text }) => latest(text()) < from).map(({ what }) => what);
  await until(`a line from ${from} on is out`, () => stuck().length === 0, LONGEST_MS).catch((error) => {
    throw new Error(`${error.message} ${when}; not at ${stuck().join(', ')}`);
  });
}

function latest(text: string): number {
  return Number(/line (\d+)\n$/.exec(text)?.[1] ?? -1);
}

/** What happens to eth0 of a host, until it is up again; `noticed` waits until the programs missed it. */
type Happening = (
  place: { bridge: Host; host: Host; number: number },
  noticed: () => Promise<void>,
) => Promise<void>;

const HAPPENINGS: Record<string, Happening> = {
  'goes down and up': async ({ host, number }, noticed) => {
    host.ip('link', 'set', 'eth0', 'down');
    await noticed();
    up(host, number);
  },
  'goes down and up at once': async ({ host, number }) => {
    host.ip('link', 'set', 'eth0', 'down');
    up(host, number);
  },
  'is renamed, and named back': async ({ host }, noticed) => {
    host.ip('link', 'set', 'eth0', 'name', 'other');
    await noticed();
    host.ip('link', 'set', 'other', 'name', 'eth0');
  },
  'is deleted and made again': async ({ bridge, host, number }, noticed) => {
    const index = indexOf(host);
    host.ip('link', 'del', 'eth0');
    await noticed();
    plug(bridge, host, number);
    if (indexOf(host) === index) throw new Error('it has the same index');
  },
  'is deleted and made again with the same index': async ({ bridge, host, number }, noticed) => {
    const index = indexOf(host);
    host.ip('link', 'del', 'eth0');
    await noticed();
    plug(bridge, host, number, index);
  },
  'is deleted and made again at once': async ({ bridge, host, number }) => {
    host.ip('link', 'del', 'eth0');
    plug(bridge, host, number);
  },
  'is deleted and made again at once with the same index': async ({ bridge, host, number }) => {
    const index = indexOf(host);
    host.ip('link', 'del', 'eth0');
    plug(bridge, host, number, index);
  },
};

/** With the IPv6 address, which the kernel forgets when a link goes down (addrconf_ifdown, linux/net/ipv6). */
function up(host: Host, number: number): void {
  host.ip('link', 'set', 'eth0', 'up');
  host.ip('addr', 'replace', `fd77::${number}/64`, 'dev', 'eth0', 'nodad');
}

function indexOf(host: Host): string {
  return host.ip('-o', 'link', 'show', 'dev', 'eth0').split(':')[0]!;
}

/** Waits until every program says, after what it said so far, that its interface is gone. */
function missedBy(programs: Running[]): () => Promise<void> {
  const marks = programs.map((program) => ({ program, before: program.stderr.length }));
  return async () => {
    const late = () =>
      marks.filter(({ program, before }) => !/eth0 is gone/.test(program.stderr.slice(before)));
    await until('every program says that eth0 is gone', () => late().length === 0, LONGEST_MS).catch(
      (error) => {
        throw new Error(`${error.message}; not so: ${late().map(({ program }) => program.stderr)}`);
      },
    );
  };
}

function hasBack({ stderr }: Running): boolean {
  return stderr.split('eth0 is gone').length === stderr.split('eth0 is back').length;
}

/** Programs on a host that send a numbered line on and on; and how many lines they were given. */
async function senders(t: Test, host: Host) {
  const namespace = host.name;
  const to = (flag: string, port: number) => PLACES.flatMap((place) => [flag, at(place, port)]);
  const file = join(t.testdirName, 'followed');
  writeFileSync(file, '');
  const stdin = start(t, 'client', ['--path', '-', '--rate', '100pps', ...to('--server-addr', 9921)], {
    namespace,
  });
  const follow = start(t, 'client', ['--path', file, '--follow', ...to('--server-addr', 9922)], {
    namespace,
  });
  const listens = ['--udp-listen-addr', '127.0.0.1:9920'];
  const forward = start(t, 'forward', [...listens, ...to('--udp-downstream-addr', 9923)], { namespace });
  await forward.says('listening:');
  const feeder = start(t, 'client', ['--path', '-', '--server-addr', '127.0.0.1:9920'], { namespace });
  let sent = 0;
  const timer = setInterval(() => {
    const line = `line ${sent++}\n`;
    stdin.child.stdin!.write(line);
    feeder.child.stdin!.write(line);
    appendFileSync(file, line);
  }, 50);
  t.teardown(() => clearInterval(timer));
  return { programs: [stdin, follow, forward], sent: () => sent, stop: () => clearInterval(timer) };
}

/** Where a line may come out: what it is, and all that came so far. */
interface OutputQueue {
  what: string;
  text: () => string;
}

/** A server for all these addresses, with a file for each. */
async function server(t: Test, host: Host, name: string, addresses: string[]) {
  const cwd = t.testdirName;
  const listens = addresses.flatMap((address) => ['--listen-addr', address]);
  const program = start(t, 'server', ['--path', name, ...listens], { namespace: host.name, cwd });
  await until('it listens', () => program.stderr.split('listening:').length > addresses.length);
  const outlets = addresses.map((address): OutputQueue => {
    const file = join(cwd, `${name}.${address}`);
    return { what: `server of ${address}`, text: () => readFileSync(file, 'latin1') };
  });
  return { program, outlets };
}

async function receivers(t: Test, host: Host): Promise<{ programs: Running[]; outlets: OutputQueue[] }> {
  const all = (port: number) => PLACES.map((place) => at(place, port));
  const specific = at('239.7.7.7:PORT,interface=eth0,source=10.77.0.1', 9921);
  const forUnicast = PLACES.filter((place) => !place.includes('interface')).map((place) => at(place, 9923));
  const servers = await Promise.all([
    server(t, host, 'one', [...all(9921), specific]),
    server(t, host, 'two', all(9922)),
    server(t, host, 'three', forUnicast),
  ]);
  const programs = servers.map(({ program }) => program);
  const outlets = servers.flatMap((one) => one.outlets);
  for (const place of PLACES.filter((place) => place.includes('interface'))) {
    const group = ['--multicast-addr', at(place, 9923), '--tee'];
    const reverse = start(t, 'reverse', group, { namespace: host.name });
    await reverse.says('listening:');
    programs.push(reverse);
    outlets.push({ what: `reverse of ${place}`, text: () => reverse.stdout.toString('latin1') });
  }
  return { programs, outlets };
}

function at(place: string, port: number): string {
  return place.replace('PORT', String(port));
}

t.test('traffic goes on within 5 s when the interface of both hosts', { skip: noNamespaces }, async (t) => {
  t.testdir({});
  const { bridge, hosts } = lan(t, 2);
  const { programs: into, outlets } = await receivers(t, hosts[1]!);
  const { programs: out, sent, stop } = await senders(t, hosts[0]!);
  const programs = [...into, ...out];
  await flow(sent, outlets, 'at first');
  for (const [event, happen] of Object.entries(HAPPENINGS)) {
    await inOneOfSome(t, async () => {
      const noticed = missedBy(programs);
      await Promise.all(hosts.map((host, i) => happen({ bridge, host, number: i + 1 }, noticed)));
      const begun = performance.now();
      await flow(sent, outlets, `after it ${event}`);
      const took = Math.round(performance.now() - begun);
      t.comment(`${event}: ${took} ms`);
      await until('every program that missed eth0 has it back', () => programs.every(hasBack), LONGEST_MS);
      return untrue({ [`${event}: ${took} ms`]: took < PROMISE_MS });
    });
  }
  for (const program of programs) {
    t.ok(program.running);
    t.match(program.stderr, /interface eth0 is back/);
  }
  stop();
  for (const program of programs) await program.kill();
});
