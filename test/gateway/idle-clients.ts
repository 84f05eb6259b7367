// Kept connections in a process of their own, as one process has too few descriptors for both ends. Its arguments: port, how many,
// and what they are, as JSON.
import { connect, type Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import { upgrade } from '../service/tunnels.js';

export interface Kind {
  /** By TLS; the certificate does not matter. */
  secure?: boolean;
  /** Tunnels, whose upstream sends back what it gets. */
  tunnels?: boolean;
}

const [port, count] = process.argv.slice(2, 4).map(Number) as [number, number];
const { secure = false, tunnels = false } = JSON.parse(process.argv[4] ?? '{}') as Kind;
const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const TOGETHER = 100;
const sockets: Socket[] = [];
let closed = 0;

/** @returns whether the answer begins as it must */
function ask(socket: Socket, text: string, begin: string): Promise<boolean> {
  return new Promise((resolve) => {
    let got = '';
    const take = (bytes: Buffer) => {
      got += bytes.toString('latin1');
      if (got.length >= begin.length) end(got.startsWith(begin));
    };
    const lost = () => end(false);
    const end = (isRight: boolean) => {
      socket.off('data', take).off('close', lost);
      resolve(isRight);
    };
    socket.on('data', take).on('close', lost);
    socket.write(text);
  });
}

async function open(): Promise<void> {
  const to = { port, host: '127.0.0.1' };
  const socket = secure ? connectSecurely({ ...to, rejectUnauthorized: false }) : connect(to);
  socket.on('error', () => undefined);
  socket.on('close', () => process.send!({ closed: ++closed }));
  sockets.push(socket);
  const isOpen = await (tunnels
    ? ask(socket, upgrade(), 'HTTP/1.1 101 ')
    : ask(socket, GET, 'HTTP/1.1 200 '));
  if (!isOpen) socket.destroy();
  socket.resume();
}

async function openAll(): Promise<void> {
  while (sockets.length < count)
    await Promise.all(Array.from({ length: Math.min(TOGETHER, count - sockets.length) }, open));
  process.send!({ open: sockets.length - closed });
}

process.on('message', async () => {
  let answered = 0;
  for (const [i, socket] of sockets.entries()) {
    const word = `word ${i}`;
    if (await (tunnels ? ask(socket, word, word) : ask(socket, GET, 'HTTP/1.1 200 '))) answered++;
  }
  process.send!({ answered });
});
process.on('disconnect', () => process.exit());
await openAll();
