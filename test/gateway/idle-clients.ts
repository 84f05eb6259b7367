// Kept connections in a process of their own, as one process has too few descriptors for both ends. Its arguments: port, how many, and the
// request of each, which is also what each sends when it is asked to.
import { connect, type Socket } from 'node:net';

const [port, count] = process.argv.slice(2, 4).map(Number) as [number, number];
const request = process.argv[4]!;
const TOGETHER = 100;
const sockets: Socket[] = [];
let closed = 0;

/** @returns whether it was answered */
function ask(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve(false));
    socket.once('data', () => resolve(true));
    socket.write(request);
  });
}

async function open(): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.on('close', () => process.send!({ closed: ++closed }));
  sockets.push(socket);
  await ask(socket);
  socket.removeAllListeners('data').resume();
}

async function openAll(): Promise<void> {
  while (sockets.length < count)
    await Promise.all(Array.from({ length: Math.min(TOGETHER, count - sockets.length) }, open));
  process.send!({ open: sockets.length - closed });
}

process.on('message', async () => {
  let answered = 0;
  for (const socket of sockets) if (await ask(socket)) answered++;
  process.send!({ answered });
});
process.on('disconnect', () => process.exit());
await openAll();
