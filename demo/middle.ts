import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { until } from './until.js';

const START_MS = 15_000;

/** Where senders and receivers of the chain meet. */
export interface Middle {
  /** Its address, for the programs. */
  address: string;
  /** What it is, for the picture. */
  text: string;
  /** What a program says that has joined it. */
  joined: RegExp;
  close(): Promise<void>;
}

export type MiddleName = 'group' | 'nats';

/** @param folder for files of a server */
export function openMiddle(name: MiddleName, folder: string): Promise<Middle> {
  return name === 'nats' ? openSubject(folder) : openGroup();
}

/** A multicast group on loopback. */
async function openGroup(): Promise<Middle> {
  const group = `239.255.${randomInt(256)}.${randomInt(1, 255)}:${await freePort()}`;
  const on = loopback();
  return {
    address: `${group},interface=${on}`,
    text: `multicast to ${group} on ${on}`,
    joined: /(listening|sending): group /,
    close: async () => {},
  };
}

/** A subject of a NATS server that listens on loopback alone. */
async function openSubject(folder: string): Promise<Middle> {
  const args = ['--addr', '127.0.0.1', '--port', '-1', '--ports_file_dir', folder];
  const server = spawn('nats-server', args, { cwd: folder, stdio: 'ignore' });
  const kill = () => server.kill('SIGKILL');
  // It must not outlive this program.
  process.once('exit', kill);
  const ended = once(server, 'exit').then(
    () => 'it ended at once',
    (error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT'
        ? 'not installed; on Debian: apt install nats-server'
        : `it could not be started: ${error.code}`,
  );
  const file = join(folder, `nats-server_${server.pid}.ports`);
  // The file is empty for a moment.
  const ready = until(() => existsSync(file) && readFileSync(file, 'utf8').endsWith('}'), START_MS);
  const why = await Promise.race([
    ended,
    ready.then((isReady) => (isReady ? '' : 'it is not ready in time')),
  ]);
  if (why) {
    kill();
    throw new Error(`nats-server: ${why}`);
  }
  const { nats } = JSON.parse(readFileSync(file, 'utf8')) as { nats: string[] };
  const address = `${nats[0]}/demo`;
  return {
    address,
    text: `messages to ${address}`,
    joined: /connected to /,
    close: async () => {
      server.kill('SIGTERM');
      await ended;
      process.off('exit', kill);
    },
  };
}

/** The name of the interface that has 127.0.0.1: `lo`, `lo0`, ... */
function loopback(): string {
  const all = Object.entries(networkInterfaces());
  const found = all.find(([, addresses]) => addresses?.some(({ address }) => address === '127.0.0.1'));
  if (!found) throw new Error('this host has no interface with 127.0.0.1');
  return found[0];
}

/** A UDP port that is free on all addresses. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}
