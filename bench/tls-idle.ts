import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';

/**
 * tls-idle SERVER PROXY CONNECTIONS SECONDS: listens on TCP 127.0.0.1:SERVER, and connects CONNECTIONS times by TLS to 127.0.0.1:PROXY,
 * which passes on to it. Says so, and waits.
 */
const [server, proxy, connections, seconds] = process.argv.slice(2).map(Number);

/** Handshakes at a time. */
const TOGETHER = 10;

const listener = createServer((socket) => socket.on('error', () => undefined)).listen(server, '127.0.0.1');
await once(listener, 'listening');
let left = connections!;
await Promise.all(Array.from({ length: TOGETHER }, connectRest));
console.log('connected');
await sleep(seconds! * 1000);
console.log('{}');
process.exit();

async function connectRest(): Promise<void> {
  while (left-- > 0) {
    const socket = connect({ host: '127.0.0.1', port: proxy!, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
  }
}
