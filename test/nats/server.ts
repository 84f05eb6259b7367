import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Test } from 'tap';
import { Running } from '../support/command.js';
import type { Host } from '../support/namespace.js';
import { until } from '../support/wait.js';
import { Folder } from './folder.js';

/** The reason to skip tests of a real server; false: it is here. */
export const noServer = spawnSync('nats-server', ['--version']).error
  ? 'nats-server is not installed'
  : false;

export interface ServerOptions {
  /** Default: the system picks one. */
  port?: number;
  /** More of its configuration file. */
  config?: string;
  /** A host of the test's own, where it listens on this address; default on loopback. */
  on?: { host: Host; address: string };
}

/** A real nats-server, which the test ends. */
export class NatsServer {
  #running!: Running;
  port: number;
  readonly address: string;
  clusterPort = 0;
  readonly #folder: Folder;

  private constructor(
    private readonly t: Test,
    private readonly options: ServerOptions,
  ) {
    this.#folder = new Folder(t);
    this.port = options.port ?? -1;
    this.address = options.on?.address ?? '127.0.0.1';
  }

  static async start(t: Test, options: ServerOptions = {}): Promise<NatsServer> {
    const server = new NatsServer(t, options);
    await server.restart();
    return server;
  }

  /** Starts it, again on its port. */
  async restart(): Promise<void> {
    const config = `listen: "${this.address}:${this.port}"\nports_file_dir: "${this.#folder.path('.')}"\n${this.options.config ?? ''}`;
    const { on } = this.options;
    const command = ['nats-server', '-c', this.#folder.write('nats.conf', config)];
    const [program, ...args] = on ? ['ip', 'netns', 'exec', on.host.name, ...command] : command;
    const running = new Running(spawn(program!, args));
    this.t.teardown(() => running.kill());
    this.#running = running;
    await running.says('Server is ready');
    const file = this.#folder.path(`nats-server_${running.child.pid}.ports`);
    const portOf = (url: string | undefined) =>
      Number(url === undefined ? 0 : new URL(url.replace(/^\w+/, 'http')).port);
    await until('its ports', () => {
      const { nats, cluster } = JSON.parse(readFileSync(file, 'utf8') || '{}') as Record<string, string[]>;
      if (!nats) return false;
      this.port = portOf(nats[0]);
      this.clusterPort = portOf(cluster?.[0]);
      return true;
    });
  }

  /** Everything that it logged since it was started. */
  get log(): string {
    return this.#running.stderr;
  }

  url(subject: string, login = ''): string {
    return `nats://${login}${this.address}:${this.port}/${subject}`;
  }

  signal(signal: NodeJS.Signals): void {
    this.#running.child.kill(signal);
  }

  /** Stops all its threads, until SIGCONT. */
  async hang(): Promise<void> {
    this.signal('SIGSTOP');
    const file = `/proc/${this.#running.child.pid}/stat`;
    await until('it is stopped', () => /\) T /.test(readFileSync(file, 'utf8')));
  }

  async kill(): Promise<void> {
    await this.#running.kill();
  }
}
