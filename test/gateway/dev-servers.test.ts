import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Notice } from 'mproxy-flow';
import { DevServers } from 'mproxy-gateway/dev-servers';
import t, { type Test } from 'tap';
import { start as startCommand } from '../support/command.js';
import { until } from '../support/wait.js';
import { refusal } from './running.js';

/** Starts commands; the test ends them. */
function start(t: Test, ...commands: string[]): { servers: DevServers; texts: () => string[] } {
  const notices: Notice[] = [];
  const servers = new DevServers(commands, (notice) => notices.push(notice));
  t.teardown(() => servers.kill());
  return { servers, texts: () => notices.map(({ text }) => text) };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

t.test('each line that a command writes is passed on with the command before it', async (t) => {
  const { texts } = start(t, 'echo one; echo two >&2; sleep 60', 'printf "a\\r\\nlast"; exit 3');
  const lines = ['echo one; echo two >&2; sleep 60: one', 'echo one; echo two >&2; sleep 60: two'];
  const others = ['printf "a\\r\\nlast"; exit 3: a', 'printf "a\\r\\nlast"; exit 3: last'];
  const ended = '--run: printf "a\\r\\nlast"; exit 3: ended with status 3';
  await until('all lines', () => texts().length === 5);
  t.strictSame(texts().toSorted(), [...lines, ...others, ended].toSorted());
});

t.test('a command that the shell does not find has ended', async (t) => {
  const { texts } = start(t, 'no-such-command-anywhere');
  await until('it has ended', () => texts().some((text) => text.endsWith('ended with status 127')));
});

t.test('a stop reaches what the command itself started, and is awaited', async (t) => {
  const folder = t.testdir({
    // It takes a while to end, after the shell that started it.
    'server.sh': `trap 'sleep 0.2; echo > done; exit' TERM; echo $$ > pid; while :; do sleep 0.05; done`,
  });
  const file = join(folder, 'pid');
  const { servers, texts } = start(t, `cd '${folder}'; sh server.sh & wait`);
  await until('it runs', () => readFileSync(file, 'utf8').endsWith('\n'));
  const pid = Number(readFileSync(file, 'utf8'));
  t.ok(isAlive(pid));
  await servers.stop();
  t.ok(existsSync(`${folder}/done`), 'it could clean up');
  t.notOk(isAlive(pid));
  const ended = texts().filter((text) => text.includes('ended with'));
  t.strictSame(ended, [], 'that they ended is no news');
});

t.test('a second signal ends the gateway at once, and what it runs', async (t) => {
  const command = "trap '' TERM; echo $$ is it; while :; do sleep 0.05; done";
  const gateway = startCommand(t, 'gateway', [
    '--port-encoding',
    '--listen-addr',
    '127.0.0.1:0',
    '--run',
    command,
  ]);
  const port = await gateway.port();
  await gateway.says(/: \d+ is it/);
  const pid = Number(/: (\d+) is it/.exec(gateway.stderr)![1]);
  gateway.child.kill('SIGTERM');
  await until('it stops', async () => (await refusal(port)) === 'ECONNREFUSED');
  t.ok(isAlive(pid));
  await gateway.stop();
  await until('it has ended', () => !isAlive(pid));
});

t.test('kill ends what ignores SIGTERM', async (t) => {
  const { servers, texts } = start(t, "trap '' TERM; echo $$; while :; do sleep 0.05; done");
  await until('it runs', () => texts().length > 0);
  const pid = Number(texts()[0]!.split(': ').at(-1));
  servers.kill();
  await until('it has ended', () => !isAlive(pid));
});
