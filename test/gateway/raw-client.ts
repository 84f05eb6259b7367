import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Test } from 'tap';
import { until } from '../support/wait.js';
import { type Answer, answersIn, type End } from './answers.js';

/** A client that sends bytes, and keeps those that it gets. */
export class RawClient {
  text = '';
  end: End = 'open';

  constructor(
    readonly socket: Socket,
    /** Of its requests, where one is HEAD. */
    public methods: readonly string[] = [],
  ) {
    socket.on('data', (bytes) => {
      this.text += bytes.toString('latin1');
    });
    socket.on('end', () => {
      if (this.end === 'open') this.end = 'end';
    });
    socket.on('error', () => {
      this.end = 'reset';
    });
  }

  get answers(): Answer[] {
    return answersIn(this.text, this.methods, this.end);
  }

  /** Those that are whole and final. */
  get finals(): Answer[] {
    return this.answers.filter(({ status, isComplete }) => status >= 200 && isComplete);
  }

  get statuses(): number[] {
    return this.answers.map(({ status }) => status);
  }

  send(text: string | Buffer): this {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
    return this;
  }

  /** Sends pieces that the other side can tell apart: a moment lies between them. */
  async sendPieces(pieces: readonly Buffer[]): Promise<void> {
    for (const [i, piece] of pieces.entries()) {
      if (i > 0) await wait(4);
      this.socket.write(piece);
    }
  }

  /** So many whole responses, or the end. */
  async answered(count = 1, ms?: number): Promise<Answer[]> {
    await until(`${count} responses`, () => this.finals.length >= count || this.end !== 'open', ms).catch(
      (error) => {
        throw new Error(`${error.message}: ${JSON.stringify(this.text.slice(0, 2000))}`);
      },
    );
    return this.finals;
  }

  async ended(ms?: number): Promise<this> {
    await until('the end of a connection', () => this.end !== 'open', ms).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(this.text.slice(0, 2000))}`);
    });
    return this;
  }
}

/** Connects to a port of 127.0.0.1. */
export async function rawClient(t: Test, port: number, methods: readonly string[] = []): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  t.teardown(() => socket.destroy());
  const client = new RawClient(socket, methods);
  await once(socket, 'connect');
  return client;
}
