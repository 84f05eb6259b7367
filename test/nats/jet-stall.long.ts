import t from 'tap';
import { start } from '../support/command.js';
import { until } from '../support/wait.js';
import { jetServer, streamOf } from './jet.js';
import { noServer } from './server.js';

const LINE = 'x'.repeat(50_000);
/** More than its queues take. */
const COUNT = 120;
/** Longer than a server keeps a consumer of ours that requests nothing. */
const SECONDS = 75;

t.test(
  'a receiver of a stream whose output takes nothing for more than a minute reads on with the same consumer',
  { skip: noServer },
  async (t) => {
    const server = await jetServer(t);
    const { js } = await streamOf(t, server, 'S', ['a']);
    const url = `${server.url('a')},stream=S`;
    const ours = start(t, 'server', ['--path', '-', '--listen-addr', url, '--stats', '1']);
    await ours.says('connected to');
    ours.child.stdout!.pause();
    for (let i = 0; i < COUNT; i++) await js.publish('a', `${LINE}\n`);
    const reports = () => (ours.stderr.match(/stats:/g) ?? []).length;
    await until('it waited', () => reports() > SECONDS, 2 * SECONDS * 1000);
    ours.child.stdout!.resume();
    await until('all of it', () => ours.stdout.length === COUNT * (LINE.length + 1), 30_000);
    t.equal(await ours.stop(), 0);
    t.notMatch(ours.stderr, /no heartbeat|lost/);
  },
);
