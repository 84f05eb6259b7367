// An upstream in a process of its own: switches protocols, and sends back what comes. It tells its port.
import { type AddressInfo, createServer } from 'node:net';
import { SWITCHED } from '../service/tunnels.js';

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => undefined);
  // The request comes at once.
  socket.once('data', () => {
    socket.write(SWITCHED);
    socket.pipe(socket);
  });
});
server.listen(0, '127.0.0.1', 4096, () => process.send!({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit());
