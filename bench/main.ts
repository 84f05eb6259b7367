import { execFileSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Contestant, ORIGINAL } from './contestant.js';
import { contestants, executables } from './contestants.js';
import { verdicts } from './goals.js';
import { noHosts, removeHosts } from './hosts.js';
import { fullLoads, type Load, quickLoads, ROLES } from './loads.js';
import { machine } from './machine.js';
import { measure } from './measure.js';
import { buildNative, buildTls, ROOT } from './native.js';
import { plot } from './plot.js';
import { killAll } from './program.js';
import { report } from './report.js';
import { headline, median, type Result, Results, short } from './results.js';

const FLOOD_FACTOR = 2;

const HELP = `Usage: npm run bench -- [--quick] [--role ROLE]... [--rounds N] [--executables] [--out DIR]

Gives every role of mproxy the same work as the programs that it finds on PATH (socat, ncat, multicat, nginx, haproxy,
caddy), as npm's http-proxy where NODE_PATH has it, as the Rust original (see MPROXY_RS) and as a bare C loop, and counts what arrived. Loopback alone; a repair, beside uftp, in
network namespaces of its own, which need root.

Options:
  --quick        one round of few and short loads: about three minutes
  --role ROLE    only ${ROLES.join(', ')}; may repeat
  --rounds N     how often each is measured, in floods twice as often; default 3, with --quick 1
  --executables  what npm run package made, beside the same code under node, alone
  --out DIR      where the report and its pictures go; default bench/results for a full run, else build/bench/results
  -h, --help     print this help

Environment:
  MPROXY_RS=DIR  measure the Rust original (0.1.8) too: DIR holds its executables mproxy-client, mproxy-server,
                 mproxy-forward and mproxy-reverse. To get them:
                   cargo install --root WHERE mproxy-client mproxy-server mproxy-forward mproxy-reverse
                   MPROXY_RS=WHERE/bin npm run bench
                 The report has its version, which cargo records in WHERE/.crates.toml, and the ratio of mproxy's
                 figures to its own. It has a part in relay, server, client (lines, default flags) and latency, and,
                 as root, in group with one client (in a network namespace). Not with --executables.
`;

process.exitCode = await main();

/** @returns the exit status */
async function main(): Promise<number> {
  const options = readOptions();
  if (typeof options === 'number') return options;
  const work = workFolder();
  const cleanUp = () => {
    killAll();
    removeHosts();
    rmSync(work, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      cleanUp();
      process.exit(1);
    });
  try {
    buildNative();
    const noTls = options.loads.some(({ tls }) => tls) ? buildTls() : undefined;
    const skipped = noTls === undefined ? [] : [`Loads with TLS clients are left out: ${noTls}.`];
    for (const line of skipped) console.error(`bench: ${line}`);
    const loads = options.loads.filter(({ tls }) => noTls === undefined || !tls);
    const begin = performance.now();
    const results = await runAll(options.field, loads, options.rounds, work);
    const minutes = (performance.now() - begin) / 60_000;
    write(options.out, results, options.rounds, minutes, [...options.skipped, ...skipped]);
    return 0;
  } catch (error) {
    console.error(`bench: ${(error as Error).message}`);
    return 1;
  } finally {
    cleanUp();
  }
}

function readOptions() {
  const text = { type: 'string' } as const;
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        role: { ...text, multiple: true },
        rounds: text,
        executables: { type: 'boolean', default: false },
        out: text,
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      return 0;
    }
    const roles: readonly string[] = values.role ?? ROLES;
    const wrong = roles.find((role) => !ROLES.some((known) => known === role));
    if (wrong !== undefined) throw new Error(`--role: ${wrong}: not one of ${ROLES.join(', ')}`);
    const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
    if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100) throw new Error('--rounds: not 1 to 100');
    const all = (values.quick ? quickLoads() : fullLoads()).filter(({ role }) => roles.includes(role));
    const field = values.executables ? executables() : contestants();
    const why = roles.includes('repair') ? noHosts('iptables', 'uftp', 'uftpd') : undefined;
    const skipped = why === undefined ? [] : [`Repair is left out: ${why}.`];
    const grouped = roles.includes('group') && field.some(({ name }) => name === ORIGINAL);
    const whyNot = grouped ? noHosts() : undefined;
    if (whyNot !== undefined) skipped.push(`The original is left out of group: ${whyNot}.`);
    for (const line of skipped) console.error(`bench: ${line}`);
    const loads = all.filter(({ role }) => why === undefined || role !== 'repair');
    const full = !values.quick && !values.role && !values.executables;
    const out = resolve(values.out ?? join(ROOT, full ? 'bench/results' : 'build/bench/results'));
    return { field, loads, rounds, out, skipped };
  } catch (error) {
    console.error(`bench: ${(error as Error).message}; npm run bench -- --help lists the options`);
    return 2;
  }
}

/** Runs all turns. Within a round the contestants alternate. */
async function runAll(field: Contestant[], loads: Load[], rounds: number, work: string): Promise<Results> {
  const results = new Results();
  const place = { in: 1, out: 1, file: '' };
  const rows = loads.map((load) =>
    field.filter((one) => one.command(load, place)).map((one) => results.add(load, one)),
  );
  const turns = rows.flatMap((row) => {
    const back = row.toReversed();
    const times = rounds * (isFlood(row[0]?.load) ? FLOOD_FACTOR : 1);
    return Array.from({ length: times }, (_, round) => (round % 2 ? back : row)).flat();
  });
  const begin = performance.now();
  for (const [i, result] of turns.entries()) {
    const before = `[${`${i + 1}`.padStart(`${turns.length}`.length)}/${turns.length}]`;
    const summary = await turn(result, work);
    const left = Math.round(((performance.now() - begin) / (i + 1) / 1000) * (turns.length - i - 1));
    const label = `${result.load.role}, ${result.load.name}`.padEnd(38);
    console.error(
      `${before} ${label} ${result.contestant.name.padEnd(20)} ${summary.padEnd(36)} ${left} s left`,
    );
  }
  return results;
}

/** A flood depends on scheduling, so it varies most between turns. */
function isFlood(load: Load | undefined): boolean {
  return (load?.role === 'relay' || load?.role === 'server') && load.rate === 0;
}

/** @returns a summary for display */
async function turn(result: Result, work: string): Promise<string> {
  try {
    const sample = await measure(result.contestant, result.load, work);
    if (!sample) return 'no part in it';
    result.samples.push(sample);
    const { metric } = headline(result.load.role);
    const unit = { p50: 'us', mbps: 'Mbps', seconds: 's', cost: 'us', start: 'ms' }[metric as string] ?? '/s';
    return `${(sample.delivered * 100).toFixed(1).padStart(5)} %  ${short(sample[metric])} ${unit}`;
  } catch (error) {
    result.failure = (error as Error).message;
    return `failed: ${result.failure}`;
  }
}

function write(out: string, results: Results, rounds: number, minutes: number, skipped: string[]): void {
  mkdirSync(out, { recursive: true });
  for (const role of ROLES)
    if (results.loads(role).length > 0) writeFileSync(join(out, `${role}.svg`), plot(role, results));
  const run = {
    machine: machine([...new Set(results.all.map(({ contestant }) => contestant))]),
    rounds,
    minutes,
    skipped,
    verdicts: verdicts(results, slowestHelp(rounds)),
  };
  writeFileSync(join(out, 'README.md'), report(results, run));
  for (const { load, ...rest } of results.all.filter(({ contestant }) => contestant.kind === 'ours')) {
    const { metric, title } = headline(load.role);
    console.error(`${load.role}, ${load.name}: ${title}: ${short(median({ load, ...rest }, metric))}`);
  }
  console.error(`report: ${join(out, 'README.md')}`);
}

/** Run time of `--help` in milliseconds: the best turn of the slowest command. */
function slowestHelp(rounds: number): number {
  const times = ['client', 'server', 'forward', 'reverse', 'gateway'].map((name) => {
    const turns = Array.from({ length: rounds + 2 }, () => {
      const begin = performance.now();
      execFileSync(process.execPath, [join(ROOT, 'bin', `mproxy-${name}`), '--help'], { stdio: 'ignore' });
      return performance.now() - begin;
    });
    return Math.min(...turns);
  });
  return Math.max(...times);
}

/** In memory if possible, so that the disk is not measured. */
function workFolder(): string {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return mkdtempSync('/dev/shm/mproxy-bench-');
  } catch {
    return mkdtempSync(join(tmpdir(), 'mproxy-bench-'));
  }
}
