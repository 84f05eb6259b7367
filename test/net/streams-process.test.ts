import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { until } from '../support/wait.js';
import { ENGINES } from './engines.js';

/** Runs a script that has `streams`, and `at`, an address of this host; it is told by lines, and tells by lines. */
function run(t: Test, engine: string, script: string, limit = '') {
  const text = `
    import { createInterface } from 'node:readline';
    const { chooseEngine } = await import('mproxy-net');
    const { streams } = chooseEngine('${engine}').engine;
    const at = { address: '127.0.0.1', port: 0 };
    const say = (...words) => process.stdout.write(words.join(' ') + '\\n');
    ${script}`;
  const node = [process.execPath, '--input-type=module', '-e', text];
  const child = spawn('sh', ['-c', `${limit} exec "$0" "$@"`, ...node], { stdio: ['pipe', 'pipe', 'pipe'] });
  const lines: string[] = [];
  let errors = '';
  child.stdout.on('data', (chunk) => lines.push(...String(chunk).split('\n').slice(0, -1)));
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  const exited = once(child, 'exit').then(([code]) => ({ code, errors }));
  t.teardown(() => child.kill());
  return { child, lines, exited, says: (line: string) => until(line, () => lines.includes(line)) };
}

const port = async (lines: string[]): Promise<number> => {
  await until('its port', () => lines.some((line) => line.startsWith('port ')));
  return Number(lines.find((line) => line.startsWith('port '))!.slice(5));
};

const skip = process.platform === 'win32' && 'sh is not there';

for (const { name } of ENGINES) {
  t.test(name, { skip }, async (t) => {
    t.test('an exception of a callback is one of the program, and all goes on', async (t) => {
      const { lines, exited, child } = run(
        t,
        name,
        `process.on('uncaughtException', (error) => say('thrown', error.message));
        const fail = (what) => { throw new Error(what); };
        let admitted = 0;
        const listener = await streams.listen({
          at,
          admit: () => ++admitted > 1 || fail('admit'),
          onConnection(connection) {
            connection.start({
              onData(bytes) {
                const text = String(bytes);
                connection.write([Buffer.from(text)]);
                if (text === 'throw') fail('onData');
              },
              onEnd() { connection.end(); fail('onEnd'); },
              onClose() { say('closed'); fail('onClose'); },
            });
            fail('onConnection');
          },
        });
        say('port', listener.local.port);
        process.stdin.on('end', () => listener.close()).resume();`,
      );
      const to = await port(lines);
      const thrown = (what: string) => lines.filter((line) => line === `thrown ${what}`).length;
      const first = open(t, to);
      await until('the first is not admitted', () => thrown('admit') === 1);
      first.destroy();
      const [one, two] = [open(t, to), open(t, to)];
      await until('both are accepted', () => thrown('onConnection') === 2);
      for (const text of ['throw', 'still']) {
        for (const socket of [one, two]) {
          socket.write(text);
          t.equal(String((await once(socket, 'data'))[0]), text);
        }
      }
      await until('both threw', () => thrown('onData') === 2);
      for (const socket of [one, two]) socket.end();
      await until('their ends', () => thrown('onEnd') === 2 && thrown('onClose') === 2);
      child.stdin.end();
      t.equal((await exited).code, 0);
    });

    t.test('it ends by itself when nothing can happen any more', async (t) => {
      const { lines, exited, says } = run(
        t,
        name,
        `const peers = [];
        const listener = await streams.listen({ at, onConnection: (connection) => peers.push(connection) });
        const connections = [];
        for (let i = 0; i < 3; i++) connections.push(await streams.connect({ to: listener.local }));
        const ignore = { onData() {}, onEnd() {}, onClose() {} };
        connections[0].start(ignore);
        connections[0].pause();
        connections[1].start({ ...ignore, onClose: () => say('closed') });
        connections[1].close();
        setTimeout(() => { say('closing'); listener.close(); }, 100);`,
      );
      await says('closing');
      const { code, errors } = await exited;
      t.strictSame([code, errors], [0, '']);
      t.ok(lines.includes('closed'));
    });

    t.test('a connection that reads keeps it going; idle, it uses no processor time', async (t) => {
      const { lines, exited, says, child } = run(
        t,
        name,
        `const listener = await streams.listen({
          at,
          onConnection(connection) {
            listener.close();
            connection.start({
              onData() {
                const { user, system } = process.cpuUsage(before);
                say('cpu', user + system);
              },
              onEnd() { connection.end(); },
              onClose() {},
            });
            connection.limitIdle(60000);
            let before;
            setTimeout(() => { before = process.cpuUsage(); say('idle'); }, 300);
          },
        });
        say('port', listener.local.port);`,
      );
      const socket = open(t, await port(lines));
      await says('idle');
      // Only time shows it: the processor time of an idle second.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      t.equal(child.exitCode, null);
      socket.write('x');
      await until('the time', () => lines.some((line) => line.startsWith('cpu')));
      const used = Number(lines.find((line) => line.startsWith('cpu'))!.slice(4)) / 1000;
      t.comment(`${used} ms of processor time in a second`);
      t.ok(used < 100, `${used} ms`);
      socket.end();
      t.equal((await exited).code, 0);
    });

    t.test(
      'at the limit of descriptors it says so once, and accepts when there are some again',
      async (t) => {
        if (name === 'node') return t.comment('libuv closes them without a word');
        const { lines, child, exited } = run(
          t,
          name,
          `let accepted = 0;
        const listener = await streams.listen({
          at,
          onConnection(connection) {
            accepted++;
            connection.start({ onData() {}, onEnd: () => connection.end(), onClose() {} });
          },
          onAcceptError: ({ code, syscall }) => say('error', syscall, code),
        });
        say('port', listener.local.port);
        for await (const line of createInterface({ input: process.stdin })) say('accepted', accepted);
        listener.close();
        listener.closeConnections();`,
          'ulimit -n 60;',
        );
        const to = await port(lines);
        const sockets = Array.from({ length: 60 }, () => open(t, to));
        await until('the limit', () => lines.includes('error accept EMFILE'));
        const answers = async (condition: (accepted: number) => boolean) => {
          await until('so many are accepted', async () => {
            const before = lines.length;
            child.stdin.write('?\n');
            await until('an answer', () => lines.length > before);
            return condition(Number(lines.at(-1)!.split(' ')[1]));
          });
        };
        await answers((accepted) => accepted > 10 && accepted < 60);
        t.equal(lines.filter((line) => line.startsWith('error')).length, 1);
        for (const socket of sockets.slice(0, 40)) socket.end();
        await answers((accepted) => accepted === 60);
        child.stdin.end();
        t.equal((await exited).code, 0);
      },
    );

    t.test('a thread that is terminated under load harms nobody', async (t) => {
      const { exited, lines } = run(
        t,
        name,
        `import { Worker } from 'node:worker_threads';
        const code = \`
          import { parentPort } from 'node:worker_threads';
          import { chooseEngine } from 'mproxy-net';
          const { streams } = chooseEngine('${name}').engine;
          let count = 0;
          const echo = (connection) => connection.start({
            onData(bytes) {
              connection.write([Buffer.from(bytes)]);
              if (++count === 1000) parentPort.postMessage('busy');
            },
            onEnd() {},
            onClose() {},
          });
          const at = { address: '127.0.0.1', port: 0 };
          const listener = await streams.listen({ at, onConnection: echo });
          for (let i = 0; i < 8; i++) {
            const connection = await streams.connect({ to: listener.local });
            echo(connection);
            connection.write([Buffer.from('x')]);
          }\`;
        for (let i = 0; i < 3; i++) {
          const worker = new Worker(code, { eval: true });
          await new Promise((resolve) => worker.once('message', resolve));
          await worker.terminate();
          say('terminated');
        }`,
      );
      t.strictSame(await exited, { code: 0, errors: '' });
      t.equal(lines.length, 3);
    });
  });
}

/** Something that connects, reads, and does not mind what becomes of it. */
function open(t: Test, port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined).resume();
  t.teardown(() => socket.destroy());
  return socket;
}
