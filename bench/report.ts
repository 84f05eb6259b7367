import { defeats } from './goals.js';
import { ROLES, type Role } from './loads.js';
import { besideOriginal } from './original-ratios.js';
import { TITLES } from './plot.js';
import { type Metric, median, type Result, type Results, short } from './results.js';
import { table } from './table.js';
import type { Verdict } from './verdict.js';

export interface Run {
  /** What was skipped, and why. */
  skipped: string[];
  machine: string[];
  rounds: number;
  minutes: number;
  verdicts: Verdict[];
}

const METHOD = `All traffic but that of a repair is on the loopback interface of one machine, which also runs the generator and the counter, so the
contestants share its cores with them. Delivered is what arrived whole at the other end, counted there (a server: the bytes
of its file; a client: all bytes, whatever the cut), not what a program says that it sent. Each contestant is started anew for
every turn; they take turns within a round, in the opposite order in every second round, and every figure is the median of all
rounds. CPU is user and system time of all threads and children while the load runs (a client: from its start to its end), for 1e9
bytes delivered, including, for mproxy, the compilation of its code during the load's first tenths of a second; peak RSS is VmHWM. The bare C loop is the least that such a program can ask of the kernel, without addresses,
options, counters or error handling. It and mproxy receive and send coalesced (UDP_GRO, UDP_SEGMENT).
mproxy, the loop and socat ask for a receive buffer of 8 MiB in the same way; ncat and multicat have the ones that they take.
Medians are taken of each figure on its own, so those of one row need not multiply. In a flood the
generator and the counter stay on the first core, so that it is not the scheduler's luck whom they get in the way of; what is offered
still differs, so look at the part delivered and at the datagrams a second together.`;

const NOTES: Record<Role, string> = {
  relay:
    'A flood is as many single sends as the generator can do on its core. ncat passes on a stream, not datagrams: those that it joined do not count. multicat takes part in 1316 B alone: it moves whole packets of an MPEG transport stream.',
  server: 'The file is on a file system in memory, where there is one. multicat takes part in 1316 B alone.',
  client:
    'Mbps from the first to the last datagram. socat and ncat cut anywhere, also inside a line; ncat cannot be told where, so it takes part in the lines alone. The bare loop looks for no lines: it cuts every so many bytes. A length that datagrams of whole lines are to have can be told to mproxy alone; that of an Ethernet with IPv6 is there for lines and mold, whose packets fill the memory that they are kept in for the first time.',
  group:
    'Delivered counts the whole datagrams that reached each TCP client in order. TLS clients use TLS 1.3; the bare loop then waits in epoll, and joins a batch for SSL_write. socat serves each client by a process of its own. The original binds a socket without SO_REUSEADDR for each client, so it takes part with one; it joins a group on the interface of the route, so it, the generator and the reader then run in a network namespace where that is the loopback interface.',
  repair:
    'A file of AIS sentences to a group, from one host to three on a bridge (network namespaces). Each of the three loses so much of all UDP that it receives and of all that it sends, by iptables at random. Seconds from the start of the sender until everybody has the whole file: all mproxy-servers ended with 0, or uftp ended, which its receivers told so. By itself uftp waits some time for whoever registers; with -H it is told its receivers, as mproxy is not. The bytes are those of the sender, by the counter of its interface.',
  many: 'One server that writes to one file. Seconds from its start until a datagram that was sent to each socket, as soon as all were open, is in the file. Then single datagrams, each to the next socket: microseconds from the send until it is in the file.',
  gateway:
    'A reverse proxy between clients that send the head of a browser, and an origin with bodies of one length; an answer counts if its status and length are right. Each has one worker, kept connections to the origin, no access log, X-Forwarded-For and X-Forwarded-Proto; all count requests but the loop and http-proxy. Before, each has 1.5 seconds of the same work as fast as it can. At a rate, the clients ask by the clock, whatever is still under way. A message of a WebSocket counts as a request, and its echo as the answer. http-proxy is the npm package.',
  start:
    'Milliseconds from the start until a client has the first answer, also beside those of `node -e 0` just before. Memory (VmRSS of all processes) a second after that answer; then connections that have each had one answer, and are kept: what the memory grows by for each.',
  latency:
    'Microseconds from the send to the receipt of the same datagram at the other side; the probe sends by the clock, whatever is still under way.',
};

/** The report as Markdown; its pictures are in the same folder. */
export function report(results: Results, run: Run): string {
  const roles = ROLES.filter((role) => results.loads(role).length > 0);
  const failures = results.all.filter(({ failure }) => failure !== undefined);
  return [
    '# mproxy beside its peers and beside a bare C loop',
    `Made by \`npm run bench\`: ${run.rounds} round${run.rounds === 1 ? '' : 's'}, ${run.minutes.toFixed(1)} minutes.`,
    run.machine.map((line) => `- ${line}`).join('\n'),
    METHOD,
    ...run.skipped,
    '## Goals',
    `Of ${run.verdicts.length}, ${run.verdicts.filter(({ met }) => met).length} are met.`,
    table(
      ['work', 'goal', 'measured', ''],
      run.verdicts.map(({ work, goal, measured, met }) => [work, goal, measured, met ? 'met' : '**missed**']),
    ),
    '## Where mproxy is not the best',
    lost(results),
    '## Beside the original',
    ...besideOriginal(results),
    ...roles.flatMap((role) => [
      `## ${TITLES[role]}`,
      NOTES[role],
      `![${TITLES[role]}](${role}.svg)`,
      rolesTable(role, results),
    ]),
    ...(failures.length ? ['## Turns that failed', failed(failures)] : []),
    '',
  ].join('\n\n');
}

function lost(results: Results): string {
  const lines = defeats(results);
  if (lines.length === 0)
    return 'Nowhere in this run, by more than 3 %. (The memory of Node itself is more than a C program needs.)';
  const memory = 'Everywhere: memory. A C program needs a few MB, Node alone some 45.';
  return ['By more than 3 %:', [...lines, memory].map((line) => `- ${line}`).join('\n')].join('\n\n');
}

function rolesTable(role: Role, results: Results): string {
  const columns: [string, Metric, (n: number) => string][] = [
    ['offered/s', 'offered', count],
    ['delivered %', 'delivered', percent],
    ['datagrams/s', 'rate', count],
    ['Mbps', 'mbps', count],
    ['CPU s/GB', 'cpu', short],
    ['peak RSS MB', 'rss', (n) => short(n / 1e6)],
  ];
  if (role === 'latency')
    columns.splice(0, 5, columns[1]!, ['p50 us', 'p50', short], ['p99 us', 'p99', short]);
  if (role === 'gateway')
    columns.splice(
      0,
      5,
      ['answers/s', 'rate', count],
      ['right %', 'delivered', percent],
      ['CPU us an answer', 'cost', short],
      ['mean us', 'mean', short],
      ['p50 us', 'p50', short],
      ['p99 us', 'p99', short],
    );
  if (role === 'start')
    columns.splice(
      0,
      6,
      ['first answer ms', 'start', short],
      ['of `node -e 0`', 'starts', short],
      ['memory at rest MB', 'rss', (n) => short(n / 1e6)],
      ['KB an idle connection', 'idle', (n) => short(n / 1024)],
      ['threads', 'threads', count],
    );
  if (role === 'many')
    columns.splice(
      0,
      5,
      columns[1]!,
      ['seconds until all deliver', 'seconds', short],
      ['p50 us', 'p50', short],
      ['p99 us', 'p99', short],
      ['threads', 'threads', count],
    );
  if (role === 'repair')
    columns.splice(
      0,
      6,
      ['seconds', 'seconds', short],
      ['Mbps', 'mbps', count],
      ['times the file on the wire', 'wire', short],
    );
  const rows = results.loads(role).flatMap((load) =>
    results.of(load).map((result, i) => {
      const name =
        result.contestant.kind === 'ours' ? `**${result.contestant.name}**` : result.contestant.name;
      const cells = columns.map(([, metric, format]) => format(median(result, metric)));
      return [i === 0 ? load.name : '', name, ...cells];
    }),
  );
  return table(['load', 'who', ...columns.map(([title]) => title)], rows, 2);
}

function failed(failures: Result[]): string {
  return failures
    .map(({ load, contestant, failure }) => `- ${load.role}, ${load.name}: ${contestant.name}: ${failure}`)
    .join('\n');
}

function percent(n: number): string {
  return Number.isFinite(n) ? (n * 100).toFixed(2) : '-';
}

function count(n: number): string {
  return Number.isFinite(n) ? Math.round(n).toLocaleString('en') : '-';
}
