import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { stripVTControlCharacters } from 'node:util';
import t from 'tap';
import { startProgram } from '../support/command.js';
import { inOneOfSome, untrue } from '../support/tries.js';
import { until } from '../support/wait.js';
import { program } from './program.js';
import { rawClient } from './raw-client.js';
import { recordingOrigin } from './recording-origin.js';

const skip = spawnSync('slowhttptest', ['-h']).error !== undefined && 'slowhttptest is missing';
const LARGE = Buffer.alloc(20_000_000, 'x');
const MANY = 300;

const MODES: Record<string, string[]> = {
  'slow headers': ['-H'],
  'slow body': ['-B', '-s', '8192'],
  'slow read': ['-X', '-w', '10', '-y', '20', '-n', '1', '-z', '5'],
};

for (const [name, mode] of Object.entries(MODES)) {
  t.test(
    `slowhttptest, ${name}: others are served, and its connections are gone after the time-out`,
    { skip },
    async (t) => {
      const origin = await recordingOrigin(t);
      origin.onRequest = ({ socket, target }) => {
        const { length } = target === '/' ? LARGE : '';
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`);
        if (length > 0) socket.write(LARGE);
      };
      const timeouts = { request_head: '3s', request_body: '3s', send: '3s', idle: '20s' };
      const gateway = await program(t, { routes: [{ path: '/', upstream: origin.url }], timeouts });
      const url = `http://127.0.0.1:${gateway.port}/`;
      const args = ['-c', `${MANY}`, '-r', '200', '-i', '1', '-l', '40', '-p', '10', '-u', url];
      const attack = startProgram(t, 'slowhttptest', [...mode, ...args]);
      await until('they are connected', async () => (await gateway.connections()) > MANY / 2);
      const other = await rawClient(t, gateway.port);
      await inOneOfSome(t, async () => {
        const times: number[] = [];
        for (let i = 0; i < 20; i++) {
          const from = performance.now();
          other.send('GET /quick HTTP/1.1\r\nHost: h\r\n\r\n');
          await once(other.socket, 'data');
          times.push(performance.now() - from);
        }
        const median = times.sort((a, b) => a - b)[10]!;
        return untrue({ [`a request among them takes ${median.toFixed(1)} ms`]: median < 20 });
      });
      // Its own probes come and go.
      await until('its connections are gone', async () => (await gateway.connections()) < 5, 20_000);
      const said = () => stripVTControlCharacters(String(attack.stdout) + attack.stderr);
      // A reader that has bytes in its buffer does not notice.
      if (name === 'slow read') {
        const cut = () => gateway.lines.filter((line) => line.cut === 'the client takes nothing').length;
        await until('all were cut', () => cut() >= MANY);
        await attack.stop('SIGINT');
      } else {
        await attack.exited;
        t.match(said(), /Exit status: *No open connections left/);
      }
      t.match(said(), /service available: *YES/);
      t.notMatch(said(), /service available: *NO/);
      other.socket.destroy();
      await until('no connection is left', async () => (await gateway.connections()) === 0);
      await until('nor a request at the origin', () => origin.open <= 1);
      t.equal(gateway.running.running, true);
    },
  );
}
