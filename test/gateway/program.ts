import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { ask, sample, startShown } from '../status/http.js';
import type { Running } from '../support/command.js';
import { residentMemory } from '../support/memory.js';
import { shortFolder } from '../support/short-folder.js';
import { until } from '../support/wait.js';

/** A record of the access log, as JSON. */
export interface LogLine {
  method: string;
  path: string;
  status: number;
  received: number;
  sent: number;
  route?: string;
  upstream?: string;
  retries?: number;
  cut?: string;
}

/** The command, as a user starts it, with a configuration of its own. */
export class Program {
  constructor(
    readonly running: Running,
    readonly port: number,
    private readonly status: string,
    private readonly log: string,
  ) {}

  /** In bytes. */
  get memory(): number {
    return residentMemory(this.#pid);
  }

  get descriptors(): number {
    return readdirSync(`/proc/${this.#pid}/fd`).length;
  }

  /** Its own kernel sockets, by their addresses (proc_pid_net(5)): those at its port. */
  get sockets(): number {
    const port = this.port.toString(16).toUpperCase().padStart(4, '0');
    const lines = readFileSync('/proc/net/tcp', 'latin1').split('\n');
    // ESTABLISHED, FIN_WAIT1, CLOSE_WAIT, LAST_ACK, CLOSING; not those that the kernel alone still knows.
    return lines.filter((line) => new RegExp(`^ *\\d+: [0-9A-F]{8}:${port} \\S+ 0[1489B] `).test(line))
      .length;
  }

  async metric(series: string): Promise<number> {
    return sample((await ask(`${this.status}/metrics`)).body, `mproxy_${series}`) ?? 0;
  }

  /** Connections of clients now. */
  connections(): Promise<number> {
    return this.metric('http_connections{listener="127.0.0.1:0"}');
  }

  requestsNow(): Promise<number> {
    return this.metric('http_requests_in_progress');
  }

  /** The rows of a table of /stats; undefined: there is no such table. */
  async table(name: string): Promise<(string | number)[][] | undefined> {
    const { tables } = JSON.parse((await ask(`${this.status}/stats`)).body);
    return tables.find((table: { name: string }) => table.name === name)?.rows;
  }

  /** The row of /stats for its only listener: connections now, and so far. */
  async listenerStats(): Promise<(string | number)[]> {
    return (await this.table('listeners'))![0]!.slice(1);
  }

  /** The access log until now. */
  get lines(): LogLine[] {
    const text = readFileSync(this.log, 'utf8');
    return text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  }

  /** The records of requests of this path, once there are so many. */
  async logged(path: string, count = 1): Promise<LogLine[]> {
    const found = () => this.lines.filter((line) => line.path === path);
    await until(`${count} records of ${path}`, () => found().length >= count);
    return found();
  }

  get #pid(): number {
    return this.running.child.pid!;
  }
}

/**
 * @param config a document; it listens on a free port of 127.0.0.1 with one worker, unless it says otherwise
 * @param logs whether there is an access log
 */
export async function program(
  t: Test,
  config: Record<string, unknown>,
  { logs = true, engine }: { logs?: boolean; engine?: string } = {},
): Promise<Program> {
  const folder = shortFolder(t);
  const [file, log] = [join(folder, 'gateway.json'), join(folder, 'access.log')];
  writeFileSync(log, '');
  const own = { host: '127.0.0.1', port: 0, thread_count: 1, ...(logs && { access_log: { to: log } }) };
  writeFileSync(file, JSON.stringify({ ...own, ...config }));
  const args = ['--config', file, ...(engine === undefined ? [] : ['--engine', engine])];
  const { program, url } = await startShown(t, 'gateway', args);
  return new Program(program, await program.port(), url, log);
}
