import { readFileSync, writeFileSync } from 'node:fs';
import { connect, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Name, type Running, start } from '../support/command.js';
import { freeTcpPort, freeUdpPort, tcpServer } from '../support/net.js';
import { until } from '../support/wait.js';

const RECORD = /^(udp|tcp) (\d+) (.*)$/;

/** A record whose end follows from its number: a torn or mixed one does not match itself. */
function record(kind: 'udp' | 'tcp', number: number): string {
  return `${kind} ${number} ${`<${number}>`.repeat(1 + (number % 40))}`;
}

/** Fails on a line that is not a record. @returns the largest number of each kind */
function newest(t: Test, text: string): { udp: number; tcp: number } {
  const most = { udp: -1, tcp: -1 };
  for (const line of text.split('\n').slice(0, -1)) {
    const [, kind, number] = RECORD.exec(line) ?? [];
    if (line !== record(kind as 'udp' | 'tcp', Number(number))) t.fail(`torn: ${JSON.stringify(line)}`);
    else most[kind as 'udp' | 'tcp'] = Math.max(most[kind as 'udp' | 'tcp'], Number(number));
  }
  return most;
}

/** A TCP client that connects again whenever it is disconnected; it keeps each connection's bytes apart. */
class Reader {
  readonly connections: { text: string }[] = [];
  #socket: Socket | undefined;
  #open = true;

  constructor(private readonly port: number) {
    this.#connect();
  }

  get text(): string {
    return this.connections.map(({ text }) => text).join('');
  }

  close(): void {
    this.#open = false;
    this.#socket?.destroy();
  }

  #connect(): void {
    const connection = { text: '' };
    this.connections.push(connection);
    const socket = connect(this.port, '127.0.0.1');
    this.#socket = socket;
    socket.on('data', (data) => {
      connection.text += data;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => this.#open && setTimeout(() => this.#connect(), 50));
  }
}

/** A TCP server at one port that can be ended and started again, and sends every record to all its clients. */
class Upstream {
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();

  constructor(
    private readonly t: Test,
    readonly port: number,
  ) {}

  async start(): Promise<void> {
    const accepted = (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    };
    this.#server = (await tcpServer(this.t, accepted, this.port)).server;
  }

  send(text: string): void {
    for (const socket of this.#sockets) socket.write(text);
  }

  async end(): Promise<void> {
    const closed = new Promise((resolve) => this.#server!.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

t.test('every hop is killed and started again, and the chain goes on by itself', async (t) => {
  const group = `239.7.7.7:${await freeUdpPort()},interface=lo`;
  const forwardPort = await freeUdpPort();
  const outputPort = await freeTcpPort();
  const file = join(t.testdir(), 'received');
  writeFileSync(file, '');
  const upstream = new Upstream(t, await freeTcpPort());
  await upstream.start();

  const forwardTo = ['--udp-downstream-addr', group, '--tcp-connect-addr', `127.0.0.1:${upstream.port}`];
  const hops: Record<string, [Name, string[], string]> = {
    server: ['server', ['--path', file, '--listen-addr', group], 'listening:'],
    reverse: [
      'reverse',
      ['--multicast-addr', group, '--tcp-output-addr', `127.0.0.1:${outputPort}`],
      'listening: group',
    ],
    forward: ['forward', ['--udp-listen-addr', `127.0.0.1:${forwardPort}`, ...forwardTo], 'listening:'],
    client: ['client', ['--path', '-', '--server-addr', `127.0.0.1:${forwardPort}`], 'sending:'],
  };
  const running: Record<string, Running> = {};
  const launch = async (hop: string) => {
    const [name, args, ready] = hops[hop]!;
    const started = start(t, name, args);
    running[hop] = started;
    await started.says(ready);
  };
  for (const hop of Object.keys(hops)) await launch(hop);
  const reader = new Reader(outputPort);
  t.teardown(() => reader.close());

  const fromFile = () => readFileSync(file, 'latin1');
  let number = 0;
  const timer = setInterval(() => {
    running.client!.child.stdin!.write(`${record('udp', number)}\n`);
    upstream.send(`${record('tcp', number)}\n`);
    number++;
  }, 10);
  t.teardown(() => clearInterval(timer));
  const flows = async (when: string) => {
    for (const [end, read] of [
      ['the reader', () => reader.text],
      ['the file', fromFile],
    ] as const) {
      const from = number;
      const so = () => {
        const { udp, tcp } = newest(t, read());
        return udp >= from && tcp >= from;
      };
      await until(`both sources at ${end} ${when}`, so);
      t.pass(`both sources reach ${end} ${when}`);
    }
  };

  await flows('at first');
  for (const hop of Object.keys(hops)) {
    await running[hop]!.kill();
    await launch(hop);
    await flows(`after the ${hop} was killed`);
  }
  await upstream.end();
  await running.forward!.says('trying again');
  await upstream.start();
  await flows('after the upstream was started again');
  clearInterval(timer);
  for (const read of [...reader.connections.map((connection) => () => connection.text), fromFile])
    await until('no end is torn', () => /(^|\n)$/.test(read()));
  for (const { text } of reader.connections) newest(t, text);
  for (const [hop, one] of Object.entries(running)) t.ok(one.running, `the ${hop} still runs`);
});
