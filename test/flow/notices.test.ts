import { type EventDefinition, type Fields, info, loss } from 'mproxy-flow/events';
import { NoticeLimit } from 'mproxy-flow/notices';
import t, { type Test } from 'tap';
import { Clock } from '../support/clock.js';

const JOINED = info('joined', '{text}', 'client(s) connected');
const REFUSED = info('refused', '{text}', 'connection(s) refused');
const LOST = loss('lost', '{text}', 'connection(s) refused');

/** A limiter, with what it lets through. */
function limiter() {
  const said: string[] = [];
  const ends: (() => void)[] = [];
  const limit = new NoticeLimit('clients: here', {
    emit: ({ kind, text }, fields) => said.push(`${kind === 'loss' ? 'loss: ' : ''}${text(fields)}`),
    onEnd: (check) => ends.push(check),
  });
  const end = () => {
    for (const check of ends) check();
  };
  return { limit, said, end };
}

/** Timers fire when a clock is passed on. @returns passes it on */
function timers(t: Test): (ms: number) => void {
  const clock = new Clock(t);
  const { setTimeout } = globalThis;
  let pending: { at: number; fire: () => void }[] = [];
  const fake = (fire: () => void, ms: number) => {
    pending.push({ at: clock.now + ms, fire });
    return { unref: () => undefined };
  };
  globalThis.setTimeout = fake as unknown as typeof setTimeout;
  t.teardown(() => {
    globalThis.setTimeout = setTimeout;
  });
  return (ms) => {
    clock.pass(ms);
    const due = pending.filter(({ at }) => at <= clock.now);
    pending = pending.filter(({ at }) => at > clock.now);
    for (const { fire } of due) fire();
  };
}

t.test('ten notices are given, then a summary of each kind after ten seconds', (t) => {
  const pass = timers(t);
  const { limit, said } = limiter();
  for (let i = 0; i < 3000; i++) limit.emit(JOINED, { text: `joined ${i}` });
  for (let i = 0; i < 20; i++) limit.emit(REFUSED, { text: `refused ${i}` });
  const first = Array.from({ length: 10 }, (_, i) => `joined ${i}`);
  t.same(said, [...first, 'refused 0'], 'the first of a kind is given, too');
  pass(9_999);
  t.equal(said.length, 11);
  pass(1);
  t.same(said.slice(11), [
    'clients: here: in 10 seconds also 2,990 clients connected, 19 connections refused',
  ]);
  limit.emit(JOINED, { text: 'again' });
  t.same(said.slice(12), ['again'], 'the next period begins anew');
  pass(10_000);
  t.equal(said.length, 13, 'without a summary, where all was given');
  t.end();
});

t.test('the end gives the last summary', (t) => {
  const clock = new Clock(t);
  const { limit, said, end } = limiter();
  for (let i = 0; i < 11; i++) limit.emit(JOINED, { text: `joined ${i}` });
  clock.pass(2000);
  end();
  t.same(said.slice(10), ['clients: here: in 2 seconds also 1 client connected']);
  t.end();
});

t.test('a summary of what must reach a person reaches it', (t) => {
  const { limit, said, end } = limiter();
  for (let i = 0; i < 12; i++) limit.emit(LOST, { text: `refused ${i}` });
  end();
  t.same(said.slice(9), ['loss: refused 9', 'loss: clients: here: in 1 second also 2 connections refused']);
  t.end();
});

t.test('a summary has the types and numbers of what it counts', (t) => {
  const emitted: unknown[] = [];
  const emit = ({ type }: EventDefinition, fields: Fields) => emitted.push({ type, fields });
  const limit = new NoticeLimit('clients: here', { emit, onEnd: () => undefined });
  for (let i = 0; i < 12; i++) limit.emit(JOINED, { text: `joined ${i}` });
  limit.flush();
  const omitted = [{ event: 'joined', count: 2, text: '2 clients connected' }];
  t.strictSame(emitted.slice(10), [
    { type: 'events_omitted', fields: { subject: 'clients: here', seconds: 1, omitted } },
  ]);
  t.end();
});
