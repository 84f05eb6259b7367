// Handshakes, as many as it can, in a process of its own until it is told to end. Its arguments: port, how many at a time, and the
// file of the authority.
import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';

const [port, together] = process.argv.slice(2, 4).map(Number) as [number, number];
const ca = readFileSync(process.argv[4]!);
const told = { done: 0, failed: 0 };
let isOver = false;

/** A connection with one request. @returns whether it was answered */
function visit(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', ca });
    let text = '';
    socket.write('GET /here HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n');
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text.startsWith('HTTP/1.1 200 ') && text.endsWith('here')));
  });
}

async function visitOften(): Promise<void> {
  while (!isOver) told[(await visit()) ? 'done' : 'failed']++;
}

process.on('message', () => {
  isOver = true;
});
process.on('disconnect', () => process.exit());
await Promise.all(Array.from({ length: together }, visitOften));
process.send!(told);
