import { createServer } from 'node:http';

/** A program: an HTTP server on a port of 127.0.0.1 that sends two events, or switches protocols, says a word and ends. */
const server = createServer((_, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write('data: 1\n\n');
  setTimeout(() => response.end('data: 2\n\n'), 100);
});
server.on('upgrade', (_, socket) => {
  socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nwelcome');
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.error('listening'));
