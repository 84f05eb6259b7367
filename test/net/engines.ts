import { spawnSync } from 'node:child_process';
import { Batch } from 'mproxy-framing';
import {
  chooseEngine,
  type Engine,
  listInterfaces,
  type Receiver,
  type ReceiverOptions,
  type Sender,
  type SenderOptions,
} from 'mproxy-net';
import type { Test } from 'tap';
import { until } from '../support/wait.js';

/** Every engine that runs here; one suite for all. */
export const ENGINES: Engine[] = [chooseEngine('node').engine, chooseEngine('linux').engine];

export const lo = listInterfaces().find(({ addresses }) =>
  addresses.some(({ address }) => address === '127.0.0.1'),
)!;

/** Why IPv6 cannot be tested here; false where it can. */
export const noIpv6 = !lo.addresses.some(({ address }) => address === '::1') && 'lo has no ::1';

/** A receiver that remembers every datagram. */
export class Inbox {
  readonly datagrams: Buffer[] = [];
  #ended: Promise<void> | undefined;

  constructor(readonly receiver: Receiver) {}

  get port(): number {
    return this.receiver.local.port;
  }

  get texts(): string[] {
    return this.datagrams.map(String);
  }

  /** @param look gets each batch, too */
  run(look?: (batch: Batch) => void): this {
    this.#ended = this.receiver.run((batch) => {
      look?.(batch);
      batch.each((offset, length) => this.datagrams.push(batch.keep(offset, length)));
      return undefined;
    });
    return this;
  }

  async has(count: number, ms?: number): Promise<void> {
    await until(`${count} datagrams`, () => this.datagrams.length >= count, ms).catch((error) => {
      throw new Error(`${error.message}; it has ${this.datagrams.length}`);
    });
  }

  /** Stops, and resolves when what the kernel held was delivered. */
  stop(): Promise<void> {
    const ended = this.#ended ?? this.run().#ended!;
    this.receiver.stop();
    return ended;
  }
}

/** Opens a receiver on an address of lo; it does not run yet. */
export async function open(t: Test, engine: Engine, options: Partial<ReceiverOptions> = {}): Promise<Inbox> {
  const address = options.address ?? '127.0.0.1';
  const receiver = await engine.openReceiver({
    address,
    port: 0,
    family: address.includes(':') ? 6 : 4,
    receiveBuffer: 4 * 1024 * 1024,
    notice: (text) => t.comment(text),
    ...options,
  });
  const inbox = new Inbox(receiver);
  t.teardown(() => inbox.stop());
  return inbox;
}

export async function openSender(
  t: Test,
  engine: Engine,
  port: number,
  options: Partial<SenderOptions> = {},
): Promise<Sender> {
  const address = options.address ?? '127.0.0.1';
  const sender = await engine.openSender({
    address,
    port,
    family: address.includes(':') ? 6 : 4,
    broadcast: false,
    sendBuffer: 1024 * 1024,
    waits: true,
    notice: (text) => t.comment(text),
    ...options,
  });
  // It may be closed by then.
  t.teardown(() => sender.close().catch(() => undefined));
  return sender;
}

/** Sends each as a datagram of its own, in batches as full as they can be. */
export async function sendAll(sender: Sender, datagrams: (string | Buffer)[]): Promise<void> {
  const batch = new Batch();
  let left = datagrams.map((datagram) => Buffer.from(datagram as string));
  while (left.length > 0) {
    const together = left.slice(0, batch.offset.length);
    left = left.slice(together.length);
    batch.reset(Buffer.concat(together));
    let offset = 0;
    for (const { length } of together) {
      batch.add(offset, length);
      offset += length;
    }
    sender.send(batch);
    await sender.room();
  }
}

/** Has another process send numbered datagrams, while this one reads nothing; returns when all were sent. */
export function sendMeanwhile(port: number, count: number, size: number): void {
  const script = `
    const socket = require('node:dgram').createSocket('udp4');
    const next = (i) => i === ${count} ? socket.close() :
      socket.send(String(i).padEnd(${size}), ${port}, '127.0.0.1', (error) => { if (error) throw error; next(i + 1); });
    next(0);`;
  const env = { ...process.env, NODE_OPTIONS: '' };
  const { status, stderr } = spawnSync(process.execPath, ['-e', script], { env, timeout: 20_000 });
  if (status !== 0) throw new Error(`the sending process failed: ${stderr}`);
}
